// SPDX-License-Identifier: Apache-2.0
// Configs made of other files, items that inherit, and grids.
#include "base/config_compose.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/config_io.h"
#include "base/files.h"
#include "tests/scratch_dir.h"

namespace kvla {
namespace {

struct Cache {
  std::string policy = "full";
  double budget = 1;
  int window = 16;
  template <class V>
  void Fields(V& v) {
    v("policy", policy, "method");
    v("budget", budget, Range{0, 1}, "share kept");
    v("window", window, "newest blocks");
  }
};

struct Arm {
  std::string name;
  Cache cache;
  template <class V>
  void Fields(V& v) {
    v("name", name, "name");
    v("cache", cache, "cache");
  }
};

struct Study {
  int seed = 0;
  std::vector<int> sizes;
  std::vector<Arm> arms;
  template <class V>
  void Fields(V& v) {
    v("seed", seed, "seed");
    v("sizes", sizes, "sizes");
    v("arms", arms, "arms");
  }
};

class ConfigComposeTest : public testing::Test {
 protected:
  std::string Path(const std::string& name) const { return (scratch_ / name).string(); }
  void Write(const std::string& name, const std::string& text) {
    ASSERT_TRUE(WriteFileAtomic(scratch_ / name, text).ok());
  }
  Study Load(const std::string& name, const std::vector<std::string>& overrides = {}) {
    Study study;
    const Status status = LoadConfigFile(scratch_ / name, overrides, &study);
    EXPECT_TRUE(status.ok()) << status.message();
    return study;
  }
  std::string ErrorOf(const std::string& text) {
    Write("bad.yaml", text);
    Study study;
    const Status status = LoadConfigFile(scratch_ / "bad.yaml", {}, &study);
    EXPECT_EQ(status.code(), StatusCode::kBadInput) << text;
    return status.message();
  }
  static std::string Arms(const Study& study) {
    std::string out;
    for (const Arm& arm : study.arms) {
      out += fmt::format("{}:{}:{}:{} ", arm.name, arm.cache.policy, arm.cache.budget,
                         arm.cache.window);
    }
    return out;
  }

  ScratchDir scratch_;
};

TEST_F(ConfigComposeTest, IncludedFilesComeFirstAndThisOneIsLaidOver) {
  std::filesystem::create_directories(scratch_ / "sub");
  Write("sub/base.yaml",
        "seed: 1\nsizes: [1, 2]\narms:\n  - {name: full}\n  - {name: small, cache: "
        "{policy: window, window: 4}}\n");
  Write("second.yaml", "include: sub/base.yaml\nseed: 2\n");
  Write("run.yaml",
        "include: [sub/base.yaml, second.yaml]\nsizes: [3]\narms:\n"
        "  - {name: small, cache: {window: 8}}\n  - {name: new}\n");
  const Study study = Load("run.yaml");
  EXPECT_EQ(study.seed, 2);
  EXPECT_EQ(study.sizes, std::vector<int>{3});
  EXPECT_EQ(Arms(study), "full:full:1:16 small:window:1:8 new:full:1:16 ");
}

TEST_F(ConfigComposeTest, IncludesThatCannotBeAreNamed) {
  Write("common.yaml", "seed: 1\n");
  EXPECT_EQ(ErrorOf("seed: 3\ninclude: comon.yaml\n"),
            Path("bad.yaml") + ":2: include 'comon.yaml': there is no file " + Path("comon.yaml") +
                "; did you mean 'common.yaml'?");
  EXPECT_NE(ErrorOf("include: bad.yaml\n")
                .find("bad.yaml:1: include 'bad.yaml': the file "
                      "includes itself"),
            std::string::npos);
  Write("loop.yaml", "include: bad.yaml\n");
  EXPECT_NE(ErrorOf("include: loop.yaml\n").find("loop.yaml:1: include 'bad.yaml'"),
            std::string::npos);
  EXPECT_NE(ErrorOf("include: {a: b}\n").find("bad.yaml:1: 'include'"), std::string::npos);
  EXPECT_NE(ErrorOf("include: [[a]]\n").find("bad.yaml:1: 'include'"), std::string::npos);
  // An error in an included file is told with that file's line.
  Write("common.yaml", "\nsede: 1\n");
  EXPECT_EQ(ErrorOf("include: common.yaml\n"),
            Path("common.yaml") + ":2: unknown key 'sede' at the top level; did you mean 'seed'?");
  // Twice side by side is no loop.
  Write("common.yaml", "seed: 7\n");
  Write("run.yaml", "include: [common.yaml, common.yaml]\n");
  EXPECT_EQ(Load("run.yaml").seed, 7);
}

TEST_F(ConfigComposeTest, ItemsInheritWhatTheyDoNotName) {
  Write("run.yaml",
        "arms:\n"
        "  - {name: last, extends: middle, cache: {budget: 1/4}}\n"
        "  - {name: base, template: true, cache: {policy: gated, window: 4}}\n"
        "  - {name: middle, extends: base, cache: {window: 8}}\n");
  EXPECT_EQ(Arms(Load("run.yaml")), "last:gated:0.25:8 middle:gated:1:8 ");
}

TEST_F(ConfigComposeTest, AnIncludedItemCanBeTakenAway) {
  Write("base.yaml", "arms: [{name: a}, {name: b}]\n");
  Write("run.yaml", "include: base.yaml\narms: [{name: a, template: true}]\n");
  EXPECT_EQ(Arms(Load("run.yaml")), "b:full:1:16 ");
}

TEST_F(ConfigComposeTest, InheritanceThatCannotBeIsNamed) {
  EXPECT_EQ(ErrorOf("arms:\n  - {name: base}\n  - name: a\n    extends: bse\n"),
            Path("bad.yaml") +
                ":4: 'arms.a' extends 'bse', which is not in the list; did you mean 'base'?");
  EXPECT_NE(ErrorOf("arms:\n  - {name: a, extends: b}\n  - {name: b, extends: a}\n")
                .find("extends it in turn"),
            std::string::npos);
  EXPECT_NE(ErrorOf("arms:\n  - {name: a, extends: a}\n").find("extends it in turn"),
            std::string::npos);
  EXPECT_NE(ErrorOf("arms:\n  - {name: a, extends: [b]}\n").find("bad.yaml:2"), std::string::npos);
  EXPECT_NE(ErrorOf("arms:\n  - {name: a, template: maybe}\n").find("true or false"),
            std::string::npos);
}

TEST_F(ConfigComposeTest, AGridIsOneItemForEveryCombination) {
  Write("run.yaml",
        "arms:\n"
        "  - name: full\n"
        "  - name: gated\n"
        "    cache: {policy: gated}\n"
        "    grid: {cache.budget: [1/2, 1/4], cache.window: [8, 16]}\n"
        "  - name: w{window}x\n"
        "    grid: {cache.window: [2, 3]}\n");
  EXPECT_EQ(Arms(Load("run.yaml")),
            "full:full:1:16 gated-1/2-8:gated:0.5:8 gated-1/2-16:gated:0.5:16 "
            "gated-1/4-8:gated:0.25:8 gated-1/4-16:gated:0.25:16 w2x:full:1:2 w3x:full:1:3 ");
}

TEST_F(ConfigComposeTest, AGridIsInherited) {
  Write("run.yaml",
        "arms:\n"
        "  - {name: base, template: true, grid: {cache.window: [1, 2]}}\n"
        "  - {name: a, extends: base}\n"
        "  - {name: b, extends: base, cache: {policy: window}}\n");
  EXPECT_EQ(Arms(Load("run.yaml")), "a-1:full:1:1 a-2:full:1:2 b-1:window:1:1 b-2:window:1:2 ");
}

TEST_F(ConfigComposeTest, GridsThatCannotBeAreNamed) {
  EXPECT_EQ(
      ErrorOf("arms:\n  - name: a\n    grid: {cache.windw: [1]}\n"),
      Path("bad.yaml") + ":3: unknown key 'windw' in 'arms.a-1.cache'; did you mean 'window'?");
  EXPECT_NE(ErrorOf("arms:\n  - {name: a, grid: {cache.window: 3}}\n").find("list of values"),
            std::string::npos);
  EXPECT_NE(ErrorOf("arms:\n  - {name: a, grid: [1]}\n").find("'grid'"), std::string::npos);
  EXPECT_NE(ErrorOf("arms:\n  - {name: a, grid: {name.x: [1]}}\n").find("no setting"),
            std::string::npos);
  std::string huge = "arms:\n  - name: a\n    grid: {";
  for (const char* axis : {"a", "b", "c", "d", "e"}) {
    huge += std::string(axis) + ": [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], ";
  }
  EXPECT_NE(ErrorOf(huge + "}\n").find("more than 10000"), std::string::npos);
}

TEST_F(ConfigComposeTest, OverridesReachWhatWasExpanded) {
  Write("run.yaml", "arms:\n  - {name: a, grid: {cache.budget: [0.5, 0.25]}}\n");
  EXPECT_EQ(Arms(Load("run.yaml", {"arms.a-0.25.cache.window=3"})),
            "a-0.5:full:0.5:16 a-0.25:full:0.25:3 ");
  EXPECT_EQ(Arms(Load("run.yaml", {"arms.*.cache.window=4"})),
            "a-0.5:full:0.5:4 a-0.25:full:0.25:4 ");
  Study study;
  EXPECT_NE(LoadConfigFile(scratch_ / "run.yaml", {"arms.*.cache.windw=4"}, &study)
                .message()
                .find("did you mean 'window'?"),
            std::string::npos);
}

TEST_F(ConfigComposeTest, FractionsAreNumbers) {
  Write("run.yaml", "arms: [{name: a, cache: {budget: 3/4}}]\n");
  EXPECT_EQ(Load("run.yaml").arms[0].cache.budget, 0.75);
  for (const std::string bad : {"1/0", "1/", "/2", "1/2/3", "1/x"}) {
    EXPECT_NE(ErrorOf("arms: [{name: a, cache: {budget: " + bad + "}}]\n").find("expected number"),
              std::string::npos)
        << bad;
  }
  EXPECT_NE(ErrorOf("seed: 4/2\n").find("expected int"), std::string::npos);
}

}  // namespace
}  // namespace kvla

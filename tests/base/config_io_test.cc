// SPDX-License-Identifier: Apache-2.0
#include "base/config_io.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>

#include "base/config_help.h"
#include "base/files.h"
#include "base/text.h"

namespace kvla {
namespace {

struct Cache {
  std::string policy = "full";
  int window_blocks = 16;
  double threshold = 0.5;
  template <class V>
  void Fields(V& v) {
    v("policy", policy, OneOf{"full", "window", "gated"}, "what happens to old tokens");
    v("window_blocks", window_blocks, Range{0, 4096}, "newest blocks, always whole");
    v("threshold", threshold, Range{0, 1}, "a chunk at or above it is retained");
  }
};

struct Arm {
  std::string name;
  Cache cache;
  template <class V>
  void Fields(V& v) {
    v("name", name, "the arm's name");
    v("cache", cache, "its cache");
  }
};

struct Empty {
  template <class V>
  void Fields(V&) {}
};

struct StudyConfig {
  std::string title = "run";
  bool video = false;
  int64_t seed = 0;
  uint64_t salt = 1;
  double scale = 1;
  std::vector<int> sizes = {64, 64};
  std::vector<double> weights;
  std::vector<std::string> tasks = {"recall_color"};
  std::vector<bool> flags = {true, false};
  Empty empty;
  std::vector<Empty> empties;
  std::vector<Arm> arms;
  template <class V>
  void Fields(V& v) {
    v("title", title, "for people");
    v("video", video, "make videos");
    v("seed", seed, "run seed");
    v("salt", salt, "salt");
    v("scale", scale, "scale");
    v("sizes", sizes, Range{1, 512}, "image sizes");
    v("weights", weights, "loss weights");
    v("tasks", tasks, OneOf{"recall_color", "pick_place"}, "tasks");
    v("flags", flags, "flags");
    v("empty", empty, "no keys yet");
    v("empties", empties, "no keys yet");
    v("arms", arms, "settings under comparison");
  }
};

std::string ErrorOf(const std::string& yaml) {
  Result<ConfigNode> node = ParseYaml(yaml, "run.yaml");
  if (!node.ok()) {
    EXPECT_EQ(node.status().code(), StatusCode::kBadInput);
    return node.status().message();
  }
  StudyConfig run;
  const Status status = ParseConfig(*node, &run);
  EXPECT_EQ(status.code(), status.ok() ? StatusCode::kOk : StatusCode::kBadInput);
  EXPECT_EQ(PrintConfig(run) == PrintConfig(StudyConfig()), !status.ok() || yaml.empty());
  return status.message();
}

StudyConfig Parse(const std::string& yaml) {
  Result<ConfigNode> node = ParseYaml(yaml, "run.yaml");
  EXPECT_TRUE(node.ok()) << node.status().message();
  StudyConfig run;
  const Status status = ParseConfig(*node, &run);
  EXPECT_TRUE(status.ok()) << status.message();
  return run;
}

TEST(ConfigIo, ReadsEveryType) {
  const StudyConfig run = Parse(R"(
title: "5"
video: true
seed: -9007199254740993
salt: 18446744073709551615
scale: 2.5e-3
sizes: [128, 256]
weights: [1, .5]
tasks:
  - pick_place
flags: []
arms:
  - name: gated
    cache: {policy: gated, window_blocks: 8}
  - name: full
)");
  EXPECT_EQ(run.title, "5");
  EXPECT_TRUE(run.video);
  EXPECT_EQ(run.seed, -9007199254740993);
  EXPECT_EQ(run.salt, 18446744073709551615u);
  EXPECT_EQ(run.scale, 2.5e-3);
  EXPECT_EQ(run.sizes, (std::vector<int>{128, 256}));
  EXPECT_EQ(run.weights, (std::vector<double>{1, .5}));
  EXPECT_EQ(run.tasks, std::vector<std::string>{"pick_place"});
  EXPECT_TRUE(run.flags.empty());
  ASSERT_EQ(run.arms.size(), 2u);
  EXPECT_EQ(run.arms[0].cache.window_blocks, 8);
  EXPECT_EQ(run.arms[0].cache.threshold, 0.5);  // the member's default
  EXPECT_EQ(run.arms[1].cache.policy, "full");
}

TEST(ConfigIo, PrintParsesBackToTheSame) {
  StudyConfig run;
  run.title = "a: \"b\" # c\n\t\\ \x01 \xc3\xa9 true";
  run.scale = 0.1 + 0.2;
  run.salt = 18446744073709551615u;
  run.weights = {1e300, -0.0, 5e-324};
  run.tasks = {};
  run.arms.resize(2);
  run.arms[0].name = "yes";
  run.arms[1].name = "";
  run.arms[1].cache.threshold = 1.0 / 3;
  run.empties.resize(2);
  const std::string printed = PrintConfig(run);
  const StudyConfig back = Parse(printed);
  EXPECT_EQ(PrintConfig(back), printed);
  EXPECT_EQ(back.title, run.title);
  EXPECT_EQ(back.scale, run.scale);
  EXPECT_EQ(back.weights, run.weights);
  EXPECT_EQ(back.arms[0].name, "yes");
  EXPECT_EQ(back.arms[1].cache.threshold, 1.0 / 3);
  EXPECT_EQ(back.empties.size(), 2u);
  EXPECT_EQ(ConfigHash(back), ConfigHash(run));
  EXPECT_NE(ConfigHash(run), ConfigHash(StudyConfig()));
  EXPECT_EQ(ConfigHash(run).size(), 16u);
}

TEST(ConfigIo, ErrorsSayWhereAndWhatIsNear) {
  EXPECT_EQ(ErrorOf("seed: 1\narms:\n  - name: gated\n    cache:\n      windw_blocks: 3\n"),
            "run.yaml:5: unknown key 'windw_blocks' in 'arms.gated.cache'; "
            "did you mean 'window_blocks'?");
  EXPECT_EQ(ErrorOf("\nsede: 1"),
            "run.yaml:2: unknown key 'sede' at the top level; did you mean 'seed'?");
  EXPECT_EQ(ErrorOf("arms: [{name: a, cache: {policy: gatd}}]"),
            "run.yaml:1: 'arms.a.cache.policy': 'gatd' is not one "
            "of [full, window, gated]; did you mean 'gated'?");
  EXPECT_EQ(ErrorOf("arms: [{cache: {window_blocks: 5000}}]"),
            "run.yaml:1: 'arms.0.cache.window_blocks': 5000 is out of range [0, 4096]");
  EXPECT_EQ(ErrorOf("sizes: [3, 0]"), "run.yaml:1: 'sizes': 0 is out of range [1, 512]");
  EXPECT_EQ(ErrorOf("seed: many"), "run.yaml:1: 'seed': expected int, not 'many'");
  EXPECT_EQ(ErrorOf("seed: 1.5"), "run.yaml:1: 'seed': expected int, not '1.5'");
  EXPECT_EQ(ErrorOf("seed: \"1\""), "run.yaml:1: 'seed': expected int, not '1' in quotes");
  EXPECT_EQ(ErrorOf("seed: [1]"), "run.yaml:1: 'seed': expected int, not a list");
  EXPECT_EQ(ErrorOf("seed:"), "run.yaml:1: 'seed': expected int, not nothing");
  EXPECT_EQ(ErrorOf("sizes: 3"), "run.yaml:1: 'sizes': expected list of int, not '3'");
  EXPECT_EQ(ErrorOf("arms: {a: 1}"), "run.yaml:1: 'arms': expected a list, not a section");
  EXPECT_EQ(ErrorOf("arms: [5]"), "run.yaml:1: 'arms.0' must be a section of keys, not '5'");
  EXPECT_EQ(ErrorOf("- 1"), "run.yaml:1: the file must be a section of keys, not a list");
  EXPECT_EQ(ErrorOf("video: yes"), "run.yaml:1: 'video': expected bool, not 'yes' (true or false)");
  EXPECT_EQ(ErrorOf("salt: -1"), "run.yaml:1: 'salt': expected int, not '-1'");
  EXPECT_EQ(ErrorOf("seed: 99999999999999999999"),
            "run.yaml:1: 'seed': too large or small: '99999999999999999999'");
  for (const char* number : {"nan", ".nan", "inf", ".inf", "-inf", "1e999"}) {
    EXPECT_NE(ErrorOf(std::string("scale: ") + number), "") << number;
  }
  EXPECT_EQ(ErrorOf("seed: 1\nseed: 2"),
            "run.yaml:2: key 'seed' is there twice (first at run.yaml:1)");
  EXPECT_EQ(ErrorOf("{1: 2}: 3"), "run.yaml:1: a key must be a plain name");
  EXPECT_EQ(ErrorOf("seed: 1\n---\nseed: 2"),
            "run.yaml: more than one YAML document (or a stray ',', ']' or '}')");
  EXPECT_TRUE(ErrorOf("seed: [1\nx: {").starts_with("run.yaml:"));
  EXPECT_EQ(ErrorOf(""), "");
  // Several at once, in the order of the fields; the file's other keys do not matter.
  EXPECT_EQ(ErrorOf("seed: x\nscale: y"),
            "run.yaml:1: 'seed': expected int, "
            "not 'x'\nrun.yaml:2: 'scale': expected number, not 'y'");
}

TEST(ConfigIo, HostileYamlIsAnErrorNotACrash) {
  // yaml-cpp by itself finds documents without end here.
  EXPECT_NE(ErrorOf(", seed: 1\n"), "");
  EXPECT_NE(ErrorOf("# all\n,  a: {b: '"), "");
  EXPECT_NE(ErrorOf(std::string(100000, '[')), "");
  EXPECT_NE(ErrorOf(std::string(100000, '{')), "");
  EXPECT_NE(ErrorOf(std::string("a\0b", 3)), "");
  EXPECT_NE(ErrorOf("\xff\xfe\xfd"), "");
  EXPECT_NE(ErrorOf("a: &a [*a]"), "");
  std::string bomb = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]\n";
  for (int i = 1; i < 12; ++i) {
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int j = 0; j < 9; ++j) bomb += (j ? ", *a" : "*a") + std::to_string(i - 1);
    bomb += "]\n";
  }
  EXPECT_NE(ErrorOf(bomb), "");
}

class OverrideTest : public testing::Test {
 protected:
  OverrideTest() {
    run_.arms.resize(2);
    run_.arms[0].name = "full";
    run_.arms[1].name = "gated";
    run_.arms[1].cache.window_blocks = 8;
  }
  std::string Set(const std::vector<std::string>& overrides) {
    const Status status = OverrideConfig(overrides, &run_);
    EXPECT_EQ(status.code(), status.ok() ? StatusCode::kOk : StatusCode::kBadInput);
    return status.message();
  }
  StudyConfig run_;
};

TEST_F(OverrideTest, SetsNestedFieldsByNameAndIndex) {
  EXPECT_EQ(Set({"arms.gated.cache.threshold=0.25", "arms.0.cache.policy=window", "sizes.1=32",
                 "seed=7", "title=\"\"", "weights=[1, 2]"}),
            "");
  EXPECT_EQ(run_.arms[1].cache.threshold, 0.25);
  EXPECT_EQ(run_.arms[1].cache.window_blocks, 8);
  EXPECT_EQ(run_.arms[0].cache.policy, "window");
  EXPECT_EQ(run_.sizes, (std::vector<int>{64, 32}));
  EXPECT_EQ(run_.seed, 7);
  EXPECT_EQ(run_.title, "");
  EXPECT_EQ(run_.weights, (std::vector<double>{1, 2}));
}

TEST_F(OverrideTest, ASectionIsMerged) {
  EXPECT_EQ(Set({"arms.gated.cache={threshold: 0.75}"}), "");
  EXPECT_EQ(run_.arms[1].cache.threshold, 0.75);
  EXPECT_EQ(run_.arms[1].cache.window_blocks, 8);
}

TEST_F(OverrideTest, ErrorsNameTheNearest) {
  EXPECT_EQ(Set({"arms.gatd.cache.threshold=1"}),
            "--set arms.gatd.cache.threshold=1: "
            "unknown key 'gatd' in 'arms'; did you mean 'gated'?");
  EXPECT_EQ(Set({"arms.gated.cache.treshold=1"}),
            "--set arms.gated.cache.treshold=1: unknown key 'treshold' in 'arms.gated.cache'; did "
            "you mean 'threshold'?");
  EXPECT_EQ(Set({"sede=1"}),
            "--set sede=1: unknown key 'sede' at the top level; did you mean 'seed'?");
  EXPECT_EQ(Set({"arms.gated.cache={polcy: full}"}),
            "--set arms.gated.cache={polcy: full}: unknown key 'polcy' in 'arms.gated.cache'; did "
            "you mean 'policy'?");
  EXPECT_EQ(Set({"seed=x"}), "--set seed=x: 'seed': expected int, not 'x'");
  EXPECT_EQ(Set({"seed.x=1"}), "--set seed.x=1: nothing to set in 'seed'");
  EXPECT_EQ(Set({"arms.9.name=x"}),
            "--set arms.9.name=x: unknown key '9' in 'arms'; did you mean 'full'?");
  EXPECT_NE(Set({"seed"}), "");
  EXPECT_NE(Set({"=1"}), "");
  EXPECT_NE(Set({"seed="}), "");
  EXPECT_NE(Set({"seed=[1"}), "");
  EXPECT_NE(Set({".=1"}), "");
  EXPECT_EQ(run_.seed, 0);
}

TEST(ConfigIo, LoadsAFileThenOverrides) {
  const std::string path = testing::TempDir() + "/kvla_config_io_test.yaml";
  ASSERT_TRUE(WriteFileAtomic(path, "seed: 3\nscale: 2\n").ok());
  StudyConfig run;
  ASSERT_TRUE(LoadConfigFile(path, {"seed=4"}, &run).ok());
  EXPECT_EQ(run.seed, 4);
  EXPECT_EQ(run.scale, 2);
  ASSERT_TRUE(WriteFileAtomic(path, "seed: 3\nscal: 2\n").ok());
  EXPECT_EQ(LoadConfigFile(path, {}, &run).message(),
            path + ":2: unknown key 'scal' at the top level; did you mean 'scale'?");
  EXPECT_EQ(LoadConfigFile("/nowhere/x.yaml", {}, &run).message(),
            "cannot read /nowhere/x.yaml: No such file or directory");
  EXPECT_EQ(LoadConfigFile("/", {}, &run).code(), StatusCode::kBadInput);
  EXPECT_EQ(run.seed, 4);  // unchanged by the errors
  std::remove(path.c_str());
}

TEST(ConfigIo, Describes) {
  const std::vector<FieldInfo> fields = DescribeFields<StudyConfig>();
  const auto at = [&](const std::string& path) {
    for (const FieldInfo& f : fields) {
      if (f.path == path) return f;
    }
    ADD_FAILURE() << path;
    return FieldInfo();
  };
  EXPECT_EQ(at("seed").type, "int");
  EXPECT_EQ(at("sizes").default_value, "[64, 64]");
  EXPECT_EQ(at("sizes").type, "list of int");
  EXPECT_EQ(at("arms[].cache.policy").names, (std::vector<std::string>{"full", "window", "gated"}));
  EXPECT_EQ(at("arms[].cache.window_blocks").range->high, 4096);
  EXPECT_NE(FormatFields(fields).find("arms[].cache.threshold (number, 0 to 1; default 0.5): a "),
            std::string::npos);
}

}  // namespace
}  // namespace kvla

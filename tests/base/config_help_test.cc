// SPDX-License-Identifier: Apache-2.0
#include "base/config_help.h"

#include <gtest/gtest.h>

namespace kvla {
namespace {

struct Item {
  std::string name;
  double share = 0.5;
  template <class V>
  void Fields(V& v) {
    v("name", name, "what it is called");
    v("share", share, Range{0, 1}, "of all");
  }
};

struct Deep {
  std::string policy = "full";
  template <class V>
  void Fields(V& v) {
    v("policy", policy, OneOf{"full", "window"}, "what is kept");
  }
};

struct Study {
  int episodes = 20;
  int64_t most = 7;
  std::vector<int> sizes = {1, 2};
  Deep cache;
  std::vector<Item> items;
  bool dry = false;
  template <class V>
  void Fields(V& v) {
    v("episodes", episodes, Range{1, 100}, "of each cell");
    v("most", most, Range{.low = 0}, "at most");
    v("sizes", sizes, "sides");
    v("cache", cache, "the cache");
    v("items", items, "things");
    v("dry", dry, "nothing is done");
  }
};

constexpr char kDocument[] =
    "# of each cell (int, 1 to 100)\n"
    "episodes: 20\n"
    "# at most (int, at least 0)\n"
    "most: 7\n"
    "# sides (list of int)\n"
    "sizes: [1, 2]\n"
    "# the cache\n"
    "cache:\n"
    "  # what is kept (text, one of [full, window])\n"
    "  policy: full\n"
    "# things (list; an item may hold)\n"
    "items: []\n"
    "#  # what it is called (text)\n"
    "#  name: \"\"\n"
    "#  # of all (number, 0 to 1)\n"
    "#  share: 0.5\n"
    "# nothing is done (bool)\n"
    "dry: false\n";

TEST(ConfigHelpTest, EveryFieldStandsUnderWhatItIs) {
  EXPECT_EQ(DocumentConfig<Study>(), kDocument);
}

TEST(ConfigHelpTest, TheDocumentReadsBackAsTheDefaults) {
  const Result<ConfigNode> node = ParseYaml(DocumentConfig<Study>(), "doc");
  ASSERT_TRUE(node.ok()) << node.status().message();
  Study study;
  study.episodes = 3;
  study.items = {{"a", 1}};
  ASSERT_TRUE(ParseConfig(*node, &study).ok());
  EXPECT_EQ(PrintConfig(study), PrintConfig(Study()));
}

std::vector<std::string> Found(const std::string& name) {
  const auto fields = FindFields(DescribeFields<Study>(), name);
  std::vector<std::string> paths;
  if (!fields.ok()) return {fields.status().message()};
  for (const FieldInfo& field : *fields) paths.push_back(field.path);
  return paths;
}

TEST(ConfigHelpTest, AKeyIsFoundByItsPathItsEndOrItsSection) {
  using Paths = std::vector<std::string>;
  EXPECT_EQ(Found("cache.policy"), Paths{"cache.policy"});
  EXPECT_EQ(Found("policy"), Paths{"cache.policy"});
  EXPECT_EQ(Found("items[].share"), Paths{"items[].share"});
  EXPECT_EQ(Found("items"), (Paths{"items[].name", "items[].share"}));
  EXPECT_EQ(Found("olicy"), Paths{"no key 'olicy'; did you mean 'policy'?"});
  EXPECT_EQ(Found("episods"), Paths{"no key 'episods'; did you mean 'episodes'?"});
}

}  // namespace
}  // namespace kvla

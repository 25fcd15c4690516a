// SPDX-License-Identifier: Apache-2.0
// Far tokens in other types than f32: what is read of them, what they take, what is saved.
#include <limits>
#include <tuple>

#include "kv_efficient/store/encoded_far.h"
#include "tests/kv_efficient/every_method.h"

namespace kvla {
namespace {

// Of attention outputs over keys and values of unit spread, the largest difference seen from f32.
struct Stated {
  const char* storage;
  double tolerance;
};
constexpr Stated kStated[] = {{"bf16", 0.03}, {"int8", 0.06}, {"int4", 0.9}};

CacheConfig With(CacheConfig config, const char* storage) {
  config.storage = storage;
  return config;
}

bool SameActions(const KvCache& a, const KvCache& b) {
  return std::ranges::equal(
      a.decision_log(), b.decision_log(), {},
      [](const DecisionEvent& e) { return e.decision.action; },
      [](const DecisionEvent& e) { return e.decision.action; });
}

TEST(Storage, IsReadWithinItsToleranceUnderEveryMethod) {
  const ScratchDir folder;
  const EpisodeFacts facts{.stream_key = 77, .cue_blocks = {{9, 12}, {30, 31}}};
  int compared = 0;
  for (const CacheGeometry& g : PositionRules()) {
    const Episode e = MakeEpisode(g, 45, 1);
    for (const CacheConfig& c : EveryMethod(folder, g)) {
      auto exact = MakeCache(g, c);
      const at::Tensor want = RunEpisode(*exact, e, facts);
      for (const auto& [storage, tolerance] : kStated) {
        auto cache = MakeCache(g, With(c, storage));
        const at::Tensor got = RunEpisode(*cache, e, facts);
        // A method that looks at attention, or at keys and values, may come to other decisions, or
        // read others.
        const Needs needs = cache->needs();
        if (needs.attention_blocks || needs.far_keys_values || needs.selects) continue;
        if (!SameActions(*cache, *exact)) {
          EXPECT_TRUE(needs.keys_values) << c.policy;
          continue;
        }
        ++compared;
        EXPECT_LT(MaxDifference(got, want), tolerance)
            << c.policy << " " << c.keep << " " << storage;
        if (exact->stats().far_tokens > g.instruction_tokens) {
          EXPECT_GT(MaxDifference(got, want), 0) << c.policy << " " << storage;
        }
      }
    }
  }
  EXPECT_GT(compared, 60);
}

TEST(Storage, TakesTheBytesOfItsPages) {
  const CacheGeometry g = SmallGeometry();
  for (const KvFormat format : kKvFormats) {
    auto cache = MakeCache(g, With(SmallConfig("full"), std::string(KvFormatName(format)).c_str()));
    RunEpisode(*cache, MakeEpisode(g, 30, 1));
    // 24 blocks have left in six chunks of 12 tokens, six are near; two tokens of instruction.
    const int64_t near = format == KvFormat::kF32
                             ? int64_t{6} * 3 * g.head_dim * 4 * 2
                             : 6 * KvPageLayout{KvFormat::kBf16, g.head_dim, 3}.bytes();
    const int64_t far = KvPageLayout{format, g.head_dim, 2}.bytes() +
                        6 * KvPageLayout{format, g.head_dim, 12}.bytes();
    EXPECT_EQ(cache->stats().cost.kv_live_bytes, g.lanes() * (near + far)) << KvFormatName(format);
    EXPECT_EQ(cache->stats().cost.cached_tokens, 92);
    EXPECT_GE(cache->stats().cost.kv_committed_bytes, cache->stats().cost.kv_live_bytes);
  }
}

TEST(Storage, ClonesAndSavedStatesGoOnAlike) {
  const ScratchDir folder;
  const CacheGeometry g = SmallGeometry();
  const Episode e = MakeEpisode(g, 40, 2);
  for (const CacheConfig& c : EveryMethod(folder, g)) {
    for (const auto& [storage, tolerance] : kStated) {
      auto cache = MakeCache(g, With(c, storage));
      std::vector<std::vector<at::Tensor>> before, on, copied, restored;
      BeginEpisode(*cache, e, {.stream_key = 3});
      RunBlocks(*cache, e, 0, 31, &before);
      const std::vector<uint8_t> saved = cache->Save();
      auto clone = cache->Clone();
      auto other = MakeCache(g, With(c, storage));
      ASSERT_TRUE(other->Restore(saved).ok()) << c.policy << " " << storage;
      EXPECT_EQ(other->Save(), saved);
      EXPECT_EQ(other->stats().cost.kv_live_bytes, cache->stats().cost.kv_live_bytes);
      RunBlocks(*cache, e, 31, 40, &on);
      RunBlocks(*clone, e, 31, 40, &copied);
      RunBlocks(*other, e, 31, 40, &restored);
      EXPECT_TRUE(torch::equal(Joined(on), Joined(copied))) << c.policy << " " << storage;
      EXPECT_TRUE(torch::equal(Joined(on), Joined(restored))) << c.policy << " " << storage;
      // Another type's state is refused.
      EXPECT_FALSE(MakeCache(g, c)->Restore(saved).ok());
      EXPECT_FALSE(other->Restore(std::span(saved).first(saved.size() - 1)).ok());
    }
  }
}

// Random rows of one lane, kept by the caller.
struct Rows {
  Rows(int tokens, int width, int seed) {
    torch::manual_seed(seed);
    keys = torch::randn({tokens, width});
    values = torch::randn({tokens, width});
  }
  std::vector<FarSource> All() const {
    std::vector<FarSource> sources;
    for (int64_t t = 0; t < keys.size(0); ++t) {
      sources.push_back({.position = static_cast<int>(t),
                         .key = keys[t].const_data_ptr<float>(),
                         .value = values[t].const_data_ptr<float>()});
    }
    return sources;
  }
  at::Tensor keys, values;
};

TEST(EncodedFarTest, WhatAPlanKeepsOfAPageIsNotRoundedAgain) {
  for (const KvFormat format : kKvFormats) {
    for (const int width : {16, 7}) {
      EncodedFar far(format, width, 2);
      const Rows rows(9, width, 4);
      const int runs[] = {4, 5};
      far.Rebuild(1, rows.All(), runs);
      ASSERT_EQ(far.pages(1).size(), 2u);
      EXPECT_EQ(far.tokens(0), 0);
      std::vector<float> keys, values, cut_keys, cut_values;
      DecodeRows(far.pages(1)[1], &keys, &values);
      // The second page's tokens 1 and 3, then a new one.
      const Rows fresh(1, width, 5);
      std::vector<FarSource> sources(2);
      for (int i = 0; i < 2; ++i) {
        std::tie(sources[i].page, sources[i].row) = far.RowOf(1, 5 + 2 * i);
        EXPECT_EQ(sources[i].row, 1 + 2 * i);
        sources[i].position = 30 + i;
      }
      sources.push_back(fresh.All()[0]);
      const int kept[] = {2, 1};
      far.Rebuild(1, sources, kept);
      EXPECT_EQ(far.tokens(1), 3);
      EXPECT_EQ(far.bytes(), far.LayoutOf(2).bytes() + far.LayoutOf(1).bytes());
      DecodeRows(far.pages(1)[0], &cut_keys, &cut_values);
      EXPECT_EQ(far.pages(1)[0].positions[1], 31);
      for (int d = 0; d < width; ++d) {
        EXPECT_EQ(cut_keys[d], keys[width + d]) << KvFormatName(format);
        EXPECT_EQ(cut_keys[width + d], keys[3 * width + d]) << KvFormatName(format);
        EXPECT_EQ(cut_values[d], values[width + d]) << KvFormatName(format);
        EXPECT_EQ(cut_values[width + d], values[3 * width + d]) << KvFormatName(format);
      }
      far.Reset();
      EXPECT_EQ(far.bytes(), 0);
    }
  }
}

TEST(EncodedFarTest, SavedPagesAreChecked) {
  for (const KvFormat format : kKvFormats) {
    EncodedFar far(format, 8, 1), other(format, 8, 1);
    const int run[] = {3};
    far.Rebuild(0, Rows(3, 8, 1).All(), run);
    const EncodedPage& page = far.pages(0)[0];
    std::vector<uint8_t> bytes(page.data, page.data + page.layout.bytes());
    EXPECT_FALSE(other.AddSaved(0, {0, 1, 2}, std::span(bytes).first(bytes.size() - 1)));
    EXPECT_FALSE(other.AddSaved(0, {}, {}));
    EXPECT_TRUE(other.AddSaved(0, {0, 1, 2}, bytes));
    const float bad = std::numeric_limits<float>::quiet_NaN();
    const int64_t at = HasScales(format) ? page.layout.key_scales() : page.layout.keys();
    std::memcpy(bytes.data() + at, &bad, sizeof(bad));
    EXPECT_FALSE(other.AddSaved(0, {0, 1, 2}, bytes)) << KvFormatName(format);
    EXPECT_EQ(other.tokens(0), 3);
  }
}

}  // namespace
}  // namespace kvla

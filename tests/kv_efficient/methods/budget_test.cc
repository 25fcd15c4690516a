// SPDX-License-Identifier: Apache-2.0
// Budgets in chunks, tokens, bytes and shares, of every method that reads them.
#include "kv_efficient/methods/budget.h"

#include "base/config_io.h"
#include "tests/kv_efficient/every_method.h"

namespace kvla {
namespace {

constexpr int kValueBytes = 4;

// What a lane or all of them hold of chunks that have left, as it is stored.
struct FarBytes {
  int64_t tokens = 0;  // of the lane that holds most
  int64_t bytes = 0;   // of all lanes
};

FarBytes Held(const KvCache& cache, const CacheConfig& c) {
  const CacheGeometry& g = cache.geometry();
  FarBytes held;
  for (int lane = 0; lane < g.lanes(); ++lane) {
    std::map<int, int> tokens;  // by chunk
    int64_t all = 0;
    for (const FarToken& token : cache.store().far(lane / g.kv_heads, lane % g.kv_heads)) {
      if (token.chunk < 0) continue;
      ++tokens[token.chunk];
      ++all;
    }
    held.tokens = std::max(held.tokens, all);
    for (const auto& [chunk, n] : tokens) {
      KvPageLayout page{*KvFormatNamed(c.storage), g.head_dim, n};
      held.bytes += c.storage == "f32" ? int64_t{2} * n * g.head_dim * kValueBytes : page.bytes();
    }
  }
  return held;
}

// Runs an episode and looks after every block.
void ForEachBlock(const CacheConfig& c, const std::function<void(const KvCache&)>& look) {
  const CacheGeometry g = SmallGeometry();
  const Episode e = MakeEpisode(g, 60, 3);
  auto cache = MakeCache(g, c);
  BeginEpisode(*cache, e);
  std::vector<std::vector<at::Tensor>> outputs;
  for (int block = 0; block < e.blocks; ++block) {
    RunBlocks(*cache, e, block, block + 1, &outputs);
    look(*cache);
  }
}

// Every method with every form that a chunk is kept in and, where it keeps tokens, either owner of
// the budget.
std::vector<CacheConfig> WithoutBudget(const ScratchDir& folder, const std::string& setting) {
  std::vector<CacheConfig> all;
  for (CacheConfig c : EveryMethod(folder, SmallGeometry())) {
    if (!FindCacheMethod(c.policy)->reads(setting)) continue;
    if (c.budget_chunks == 0 && c.budget_tokens == 0) continue;  // its twin has one
    c.budget_chunks = c.budget_tokens = 0;
    c.threshold = 0.5;
    all.push_back(c);
  }
  EXPECT_GT(all.size(), 15U);
  return all;
}

TEST(Budget, InTokensHoldsAfterEveryBlock) {
  const ScratchDir folder;
  for (CacheConfig c : WithoutBudget(folder, "budget_tokens")) {
    c.budget_tokens = 26;  // two whole chunks of 12 tokens, eight compressed ones of 3
    int64_t most = 0;
    ForEachBlock(c, [&](const KvCache& cache) {
      const FarBytes held = Held(cache, c);
      // Heads that compete share what all of them have.
      const int heads = c.budget_of == "layer" ? cache.geometry().kv_heads : 1;
      EXPECT_LE(held.tokens, int64_t{26} * heads) << PrintConfig(c);
      most = std::max(most, held.tokens);
    });
    const bool tokens = FindCacheMethod(c.policy)->reads("budget_of");
    if (FindCacheMethod(c.policy)->has_threshold()) continue;  // may leave room
    EXPECT_GE(most, tokens ? 26 : 24) << PrintConfig(c);
  }
}

TEST(Budget, InBytesHoldsAfterEveryBlockInEveryFormat) {
  const ScratchDir folder;
  for (CacheConfig c : WithoutBudget(folder, "budget_bytes")) {
    for (const KvFormat format : kKvFormats) {
      c.storage = KvFormatName(format);
      c.budget_bytes = 16000;
      int64_t most = 0;
      ForEachBlock(c, [&](const KvCache& cache) {
        const FarBytes held = Held(cache, c);
        EXPECT_LE(held.bytes, 16000) << PrintConfig(c);
        most = std::max(most, held.bytes);
      });
      if (FindCacheMethod(c.policy)->has_threshold()) continue;
      EXPECT_GT(most, 8000) << PrintConfig(c);
    }
  }
}

TEST(Budget, AsAShareGrowsWithWhatHasLeft) {
  const ScratchDir folder;
  const CacheGeometry g = SmallGeometry();
  for (CacheConfig c : WithoutBudget(folder, "budget_share")) {
    c.budget_share = 0.3;
    int64_t last = 0, full = 0;
    ForEachBlock(c, [&](const KvCache& cache) {
      const int left = c.schedule().LeftChunks(cache.blocks());
      full = int64_t{2} * g.lanes() * g.head_dim * kValueBytes * left * c.chunk_blocks *
             g.tokens_per_block;
      last = Held(cache, c).bytes;
      EXPECT_LE(static_cast<double>(last), 0.3 * static_cast<double>(full)) << PrintConfig(c);
    });
    if (FindCacheMethod(c.policy)->has_threshold()) continue;
    EXPECT_GT(static_cast<double>(last), 0.2 * static_cast<double>(full)) << PrintConfig(c);
  }
}

TEST(Budget, CountsWhatAPageTakes) {
  const CacheGeometry g = SmallGeometry();
  CacheConfig c = SmallConfig("h2o");
  c.budget_bytes = 1000 * g.lanes() + 1;
  EXPECT_EQ(Budget(c, g).Room(1), 1000);
  EXPECT_EQ(Budget(c, g).Cost(3), 3 * 2 * g.head_dim * kValueBytes);
  EXPECT_EQ(Budget(c, g).MostChunks(100, 1), 1000 / (2 * g.head_dim * kValueBytes));
  c.storage = "int8";
  EXPECT_EQ(Budget(c, g).Cost(3), (KvPageLayout{KvFormat::kInt8, g.head_dim, 3}.bytes()));
  EXPECT_EQ(Budget(c, g).Cost(0), 0);
  c.budget_bytes = 0;
  c.budget_tokens = 7;
  EXPECT_EQ(Budget(c, g).Room(9), 7);
  EXPECT_EQ(Budget(c, g).Cost(3), 3);
  EXPECT_EQ(Budget(c, g).MostTokens(9, 12), 7);
  EXPECT_EQ(Budget(c, g).MostTokens(0, 12), 0);
  EXPECT_FALSE(Budget(SmallConfig("full"), g).limited());
}

TEST(Budget, MustBeOneAndHaveRoom) {
  const CacheGeometry g = SmallGeometry();
  const auto message = [&](const CacheConfig& c) {
    const auto made = MakeCachePolicy(c, g);
    EXPECT_EQ(made.status().code(), made.ok() ? StatusCode::kOk : StatusCode::kBadInput);
    return made.status().message();
  };
  CacheConfig c = SmallConfig("knorm");
  EXPECT_NE(message(c).find("set one of budget_chunks, budget_tokens, budget_bytes, budget_share"),
            std::string::npos);
  EXPECT_NE(message(SmallConfig("tova")).find("set one of budget_tokens, budget_bytes"),
            std::string::npos);
  c.budget_chunks = 2;
  c.budget_share = 0.5;
  EXPECT_NE(message(c).find("budget_chunks and budget_share are set beside each other"),
            std::string::npos);
  c.budget_chunks = 0;
  EXPECT_EQ(message(c), "");
  c.budget_share = 1e-6;
  EXPECT_NE(message(c).find("never room for a chunk that is kept whole"), std::string::npos);
  c.budget_share = 0;
  c.budget_tokens = 11;
  EXPECT_NE(message(c).find("takes 12 tokens in each layer and head, the budget is 11"),
            std::string::npos);
  c.keep = "compressed";
  EXPECT_EQ(message(c), "");
  c.budget_tokens = 2;
  EXPECT_NE(message(c).find("a compressed chunk"), std::string::npos);
  c = SmallConfig("h2o");
  c.budget_bytes = 3;
  EXPECT_NE(message(c).find("never room for a token"), std::string::npos);
  c.budget_bytes = 0;
  c.budget_chunks = 3;
  EXPECT_NE(message(c).find("does not read 'budget_chunks'"), std::string::npos);
  c = SmallConfig("random");
  c.keep_rate = 0.2;
  c.budget_bytes = 100000;
  EXPECT_NE(message(c).find("contradict"), std::string::npos);
}

}  // namespace
}  // namespace kvla

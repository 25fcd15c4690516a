// SPDX-License-Identifier: Apache-2.0
// Attention of a whole history over stored types, against a cache that holds them.
#include "kv_efficient/training/stored_attention.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <set>
#include <utility>

#include "tests/kv_efficient/episodes.h"

namespace kvla {
namespace {

// Chunk by chunk: whole, compressed, dropped.
class Mixed : public CachePolicy {
 public:
  float Score(const ChunkView&) override { return 0; }
  Plan PlanLeaving(const ChunkView& chunk, const FarState&) override {
    Plan plan;
    plan.decisions.push_back(
        {chunk.chunk, static_cast<ChunkAction>(1 + chunk.chunk % 3), 0, ReasonCode::kWithinBudget});
    return plan;
  }
  std::unique_ptr<CachePolicy> Clone() const override { return std::make_unique<Mixed>(*this); }
  MethodCost cost() const override { return {}; }
};

TEST(StoredAttention, IsWhatACacheOfThatTypeComputes) {
  for (const CacheGeometry& g : PositionRules()) {
    const Episode e = MakeEpisode(g, 47, 8);  // the last chunk is cut short
    std::map<std::string, at::Tensor> outputs;
    for (const KvFormat format : kKvFormats) {
      CacheConfig c = SmallConfig("full");
      c.window_blocks = 9;  // some of it settled, some of it new
      c.storage = KvFormatName(format);
      auto cache = MakeCache(g, c, std::make_unique<Mixed>());
      const at::Tensor want = RunEpisode(*cache, e);
      std::vector<int> positions(e.blocks);
      for (int i = 0; i < e.blocks; ++i) positions[i] = i;
      auto seen = BuildVisibility(c.schedule(), g.instruction_tokens, g.tokens_per_block, positions,
                                  cache->decision_log(), ChunkAction::kWhole);
      ASSERT_TRUE(seen.ok()) << seen.status().message();
      auto plan = PlanTraining({&*seen, 1}, TableFor(g), g.age_clamp_blocks, at::kCPU);
      ASSERT_TRUE(plan.ok()) << plan.status().message();
      for (int layer = 0; layer < g.layers; ++layer) {
        const at::Tensor got = StoredAttention(e.q[layer].unsqueeze(0), e.k[layer].unsqueeze(0),
                                               e.v[layer].unsqueeze(0), *plan, format)
                                   .squeeze(0);
        EXPECT_LT(MaxDifference(got, want[layer]), 1e-5) << c.storage << " layer " << layer;
        if (layer == 0) outputs[c.storage] = got;
      }
    }
    // Each type is off by as much as it rounds.
    const at::Tensor exact = outputs["f32"];
    const double bf16 = MaxDifference(outputs["bf16"], exact);
    const double int8 = MaxDifference(outputs["int8"], exact);
    const double int4 = MaxDifference(outputs["int4"], exact);
    EXPECT_GT(bf16, 1e-4);
    EXPECT_GT(int8, bf16);
    EXPECT_GT(int4, 5 * int8);
    EXPECT_LT(int4, 1);
  }
}

}  // namespace
}  // namespace kvla

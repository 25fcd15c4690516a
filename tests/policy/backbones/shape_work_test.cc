// SPDX-License-Identifier: Apache-2.0
// What a shape's inference is said to compute against what its layers really ask LibTorch for.
#include "policy/backbones/shape_work.h"

#include <gtest/gtest.h>

#include "policy/backbones/attention.h"
#include "policy/backbones/shape_layers.h"
#include "policy/backbones/smolvla/smolvla_config.h"
#include "policy/backbones/smolvla/smolvla_flops.h"
#include "tests/flop_counter.h"
#include "tests/policy/backbones/tiny_shape.h"

namespace kvla {
namespace {

double Counted(const std::function<void()>& work) {
  const FlopCounter counter;
  work();
  return counter.total();
}

// Every layer once, times how often it is run; attention over so many keys likewise.
double CountedInference(const BackboneShape& shape, const InferenceWork& work, int attended) {
  double sum = 0;
  for (const LayerWork& layer : work.layers) {
    sum += layer.times * Counted(MakeLayer(shape, layer, /*cold_bytes=*/1));
  }
  const LlamaSizes& text = shape.text;
  const at::Tensor keys = torch::randn({text.kv_heads, attended, text.head_dim});
  for (const AttentionWork& a : work.attention) {
    const at::Tensor q = torch::randn({text.heads, a.rows, text.head_dim});
    sum += a.times * Counted([&] { AttendAll(q, keys, keys); });
  }
  if (work.cross_layers == 0) return sum;
  const auto maps = MakeCrossMaps(shape);
  return sum + work.cross_layers * Counted([&] { maps({keys, keys}); });
}

TEST(ShapeWorkTest, FlopsAreThoseThatAreCounted) {
  const BackboneShape tiny = TinyShape();
  for (const int attended : {33, 400}) {
    const InferenceWork work = WorkOf(tiny, tiny.block_tokens());
    EXPECT_NEAR(work.Flops(attended) / CountedInference(tiny, work, attended), 1, 0.01) << attended;
  }
  const InferenceWork alone = WorkOf(tiny, tiny.block_tokens() + tiny.prompt);
  EXPECT_NEAR(alone.Flops(38) / CountedInference(tiny, alone, 38), 1, 0.01);
}

// Layer by layer, so that two errors do not cancel.
TEST(ShapeWorkTest, EachLayersFlopsAreThoseThatAreCounted) {
  const BackboneShape tiny = TinyShape();
  for (const LayerWork& layer : WorkOf(tiny, tiny.block_tokens()).layers) {
    EXPECT_NEAR((layer.flops + layer.attention_flops) / Counted(MakeLayer(tiny, layer, 1)), 1, 0.01)
        << LayerName(layer.kind);
  }
}

// The published SmolVLA, whose own loader counts from a checkpoint's config.
TEST(ShapeWorkTest, SmolVlasFlopsAreThoseOfItsLoader) {
  const BackboneShape shape = *BackboneShapeNamed("smolvla");
  SmolVlaConfig config;
  config.vlm.vision = shape.towers[0].sizes;
  config.vlm.pixel_shuffle = 4;
  config.vlm.text = shape.text;
  config.expert = shape.expert.sizes;
  for (int i = 0; i < config.expert.layers; ++i) config.cross.push_back(i % 2 == 1);
  config.max_state = config.max_action = 32;
  config.chunk = shape.expert.rows;
  config.euler_steps = shape.expert.steps;
  const int tokens = shape.block_tokens() + shape.prompt;
  ASSERT_EQ(config.prefix_tokens(shape.images, shape.prompt), tokens);
  const double stated = SmolVlaFlopsOf(config, shape.images, shape.prompt).total();
  EXPECT_NEAR(WorkOf(shape, tokens).Flops(tokens) / stated, 1, 0.01);
  EXPECT_NEAR(stated / 576e9, 1, 0.01);
}

TEST(ShapeWorkTest, AttentionAloneGrowsWithTheHistory) {
  const BackboneShape shape = *BackboneShapeNamed("openvla");
  const InferenceWork work = WorkOf(shape, shape.block_tokens());
  const double growth = work.Flops(2000) - work.Flops(1000);
  // 257 tokens and 6 more, 32 layers, 4 FLOPs a key and query value.
  EXPECT_NEAR(growth, 4.0 * 1000 * 4096 * 32 * (257 + 6), growth * 1e-9);
}

}  // namespace
}  // namespace kvla

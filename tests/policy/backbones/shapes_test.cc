// SPDX-License-Identifier: Apache-2.0
// Published shapes against published numbers.
#include "policy/backbones/shapes.h"

#include <gtest/gtest.h>

#include "kv_efficient/cost_model.h"

namespace kvla {
namespace {

BackboneShape Named(const char* name) {
  const auto shape = BackboneShapeNamed(name);
  EXPECT_TRUE(shape.ok()) << shape.status().message();
  return *shape;
}

// Counted in a model that LeRobot 0.6.1 built, its unused language head included.
TEST(ShapesTest, SmolVlaHasEveryParameter) { EXPECT_EQ(Parameters(Named("smolvla")), 450'046'176); }

// Tensors of openvla/openvla-7b, without the pooling head of its SigLIP, which is not used.
TEST(ShapesTest, TheOthersHaveThePublishedNumbers) {
  constexpr double kOpenVla = 7'541'237'184.0, kPooling = 15.2e6;
  EXPECT_NEAR(static_cast<double>(Parameters(Named("openvla"))), kOpenVla - kPooling, 2e6);
  EXPECT_NEAR(static_cast<double>(Parameters(Named("cogact"))), 7.6e9, 0.05e9);
  EXPECT_NEAR(static_cast<double>(Parameters(Named("hybridvla"))), 7.5e9, 0.05e9);
  // PaliGemma 3B (2.923 billion) and a Gemma of 311 million.
  EXPECT_NEAR(static_cast<double>(Parameters(Named("pi0"))), 2.923e9 + 0.311e9, 0.005e9);
}

TEST(ShapesTest, KeysAndValuesTakeThePublishedBytes) {
  const auto in_bf16 = [](const char* name, int tokens) {
    const BackboneShape shape = Named(name);
    return KvBytes(HistoryGeometry(shape, shape.text.layers, 1, 0), int64_t{tokens}, 2);
  };
  constexpr int64_t kKiB = 1024;
  EXPECT_EQ(in_bf16("openvla", 1), 512 * kKiB);
  EXPECT_EQ(in_bf16("cogact", 1), 512 * kKiB);
  EXPECT_EQ(in_bf16("pi0", 1), 18 * kKiB);
  EXPECT_EQ(in_bf16("smolvla", 1), 20 * kKiB);
  // 500 inferences, in GB.
  const auto of_500 = [&](const char* name) {
    return static_cast<double>(in_bf16(name, 500 * Named(name).block_tokens())) / 1e9;
  };
  EXPECT_NEAR(of_500("openvla"), 67, 0.5);
  EXPECT_NEAR(of_500("hybridvla"), 134, 1);
  EXPECT_NEAR(of_500("pi0"), 4.7, 0.05);
  EXPECT_NEAR(of_500("smolvla"), 1.32, 0.005);
}

TEST(ShapesTest, ABlockIsImagesAndWhatComesWithThem) {
  EXPECT_EQ(Named("smolvla").block_tokens(), 129);
  EXPECT_EQ(Named("openvla").block_tokens(), 257);
  EXPECT_EQ(Named("pi0").block_tokens(), 512);
  EXPECT_EQ(Named("openvla").towers[0].rows(), 256 + 5);
}

TEST(ShapesTest, AnUnknownNameIsRefusedWithThoseThatThereAre) {
  const auto shape = BackboneShapeNamed("openvlaa");
  EXPECT_EQ(shape.status().code(), StatusCode::kBadInput);
  EXPECT_NE(shape.status().message().find("openvla, cogact, hybridvla, pi0, smolvla"),
            std::string::npos)
      << shape.status().message();
}

}  // namespace
}  // namespace kvla

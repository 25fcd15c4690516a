// SPDX-License-Identifier: Apache-2.0
#include <fstream>

#include "kv_efficient/methods/learned/gate_forward.h"
#include "kv_efficient/training/training_attention.h"
#include "tensors/module_weights.h"
#include "tensors/torch.h"
#include "tests/kv_efficient/every_method.h"

namespace kvla {
namespace {

ChunkGate SmallGate() {
  torch::manual_seed(1);
  return ChunkGate(GateShape{24, 6, 16});
}

// With and without its MLP and its LSTM.
class GateParts : public testing::TestWithParam<std::pair<bool, bool>> {
 protected:
  static ChunkGate Make() {
    torch::manual_seed(1);
    return ChunkGate(GateShape{.features = 24,
                               .chunk_tokens = 6,
                               .hidden = 16,
                               .mlp = GetParam().first,
                               .lstm = GetParam().second});
  }
};
INSTANTIATE_TEST_SUITE_P(All, GateParts,
                         testing::Values(std::pair{true, true}, std::pair{true, false},
                                         std::pair{false, true}, std::pair{false, false}));

TEST_P(GateParts, StepEqualsForward) {
  ChunkGate gate = Make();
  const at::Tensor x = torch::randn({3, 9, 6, 24});
  const at::Tensor all = gate->Forward(x);
  ASSERT_EQ(all.sizes(), (std::vector<int64_t>{3, 9}));
  ChunkGateImpl::State state;
  for (int i = 0; i < 9; ++i) {
    EXPECT_LT(MaxDifference(gate->Step(x.select(1, i), &state), all.select(1, i)), 1e-5);
  }
  EXPECT_LT(MaxDifference(gate->Forward(x[1]), all[1]), 1e-5);  // batch elements are apart
}

// What runs in an episode, against LibTorch.
TEST_P(GateParts, TheKernelsComputeWhatLibTorchDoes) {
  for (GateShape shape : {GateShape{24, 6, 16}, GateShape{40, 1, 5}, GateShape{7, 9, 64}}) {
    std::tie(shape.mlp, shape.lstm) = GetParam();
    torch::manual_seed(2);
    ChunkGate gate(shape);
    const torch::NoGradGuard no_grad;
    gate->named_parameters()["norm.bias"].normal_();  // fresh ones are 0 and 1
    gate->named_parameters()["norm.weight"].normal_();
    GateForward forward(WeightsOf(*gate), shape);
    ChunkGateImpl::State want_state;
    GateForward::State state;
    for (int step = 0; step < 6; ++step) {
      const at::Tensor x = 2 * torch::randn({shape.chunk_tokens, shape.features}) + 1;
      const float want = gate->Step(x.unsqueeze(0), &want_state).item<float>();
      EXPECT_NEAR(forward.Step(x.const_data_ptr<float>(), shape.chunk_tokens, &state), want, 1e-5);
    }
  }
}

TEST_P(GateParts, IsCausal) {
  ChunkGate gate = Make();
  const at::Tensor x = torch::randn({9, 6, 24});
  at::Tensor y = x.clone();
  y.narrow(0, 5, 4).mul_(-2);
  const at::Tensor a = gate->Forward(x), b = gate->Forward(y);
  EXPECT_TRUE(torch::equal(a.narrow(0, 0, 5), b.narrow(0, 0, 5)));
  EXPECT_GT(MaxDifference(a[8], b[8]), 1e-4);
}

TEST(Gate, FeaturesAreKeysThenValuesOfOneToken) {
  const at::Tensor keys = torch::randn({2, 3, 5, 4}), values = torch::randn({2, 3, 5, 4});
  const at::Tensor f = GateFeatures(keys, values);
  ASSERT_EQ(f.sizes(), (std::vector<int64_t>{5, 48}));
  EXPECT_TRUE(torch::equal(f[2].narrow(0, 0, 24), keys.select(2, 2).reshape({24})));
  EXPECT_TRUE(torch::equal(f[2].narrow(0, 24, 24), values.select(2, 2).reshape({24})));
  EXPECT_TRUE(torch::equal(GateFeatures(keys.unsqueeze(0), values.unsqueeze(0))[0], f));
}

TEST(Gate, WithoutAnLstmAChunkIsJudgedByItself) {
  ChunkGate gate(GateShape{.features = 24, .chunk_tokens = 6, .hidden = 16, .lstm = false});
  const at::Tensor x = torch::randn({9, 6, 24});
  EXPECT_LT(MaxDifference(gate->Forward(x)[8], gate->Forward(x.narrow(0, 8, 1))[0]), 1e-6);
}

TEST_P(GateParts, GradientReachesEveryParameterThroughCrossEntropy) {
  ChunkGate gate = Make();
  const at::Tensor x = torch::randn({2, 7, 6, 24});
  const at::Tensor labels = (torch::rand({2, 7}) > 0.7).to(torch::kFloat32);
  torch::binary_cross_entropy_with_logits(gate->Forward(x), labels).backward();
  for (const auto& p : gate->named_parameters()) {
    EXPECT_GT(p.value().grad().abs().max().item<double>(), 0) << p.key();
  }
}

TEST(Gate, LearnsWhichChunkIsMarked) {
  ChunkGate gate = SmallGate();
  torch::optim::Adam adam(gate->parameters(), torch::optim::AdamOptions(3e-3));
  double first = 0, last = 0;
  for (int step = 0; step < 150; ++step) {
    at::Tensor x = torch::randn({16, 8, 6, 24});
    const at::Tensor labels = (torch::rand({16, 8}) > 0.75).to(torch::kFloat32);
    x.select(2, 4).select(2, 7).add_(labels * 6);  // one feature of one token
    const at::Tensor loss = torch::binary_cross_entropy_with_logits(gate->Forward(x), labels);
    adam.zero_grad();
    loss.backward();
    adam.step();
    (step == 0 ? first : last) = loss.item<double>();
  }
  EXPECT_LT(last, 0.5 * first);
}

TEST_P(GateParts, SavesAndLoads) {
  const ScratchDir folder;
  ChunkGate gate = Make();
  const auto path = folder / "gate.safetensors";
  ASSERT_TRUE(SaveGate(gate, path, {{"config_hash", "abc"}, {"threshold", "0.4"}}).ok());
  auto loaded = LoadGate(path);
  ASSERT_TRUE(loaded.ok()) << loaded.status().message();
  EXPECT_EQ(loaded->metadata["config_hash"], "abc");
  EXPECT_EQ(loaded->metadata["threshold"], "0.4");
  const at::Tensor x = torch::randn({5, 6, 24});
  EXPECT_TRUE(torch::equal(gate->Forward(x), loaded->gate->Forward(x)));
}

TEST(Gate, AnotherKeepThanItWasTrainedForIsSaid) {
  const ScratchDir folder;
  CacheConfig c = SmallConfig("gated");
  c.gate = (folder / "gate.safetensors").string();
  EXPECT_EQ(GateKeepWarning(c), "");  // not there: MakeCachePolicy() says so
  ChunkGate gate = SmallGate();
  ASSERT_TRUE(SaveGate(gate, c.gate, {}).ok());
  EXPECT_EQ(GateKeepWarning(c), "");  // does not say
  ASSERT_TRUE(SaveGate(gate, c.gate, {{"keep", "compressed"}}).ok());
  c.keep = "whole";
  EXPECT_NE(GateKeepWarning(c).find("kept compressed, this arm keeps them whole"),
            std::string::npos)
      << GateKeepWarning(c);
  c.keep = "compressed";
  EXPECT_EQ(GateKeepWarning(c), "");
  ASSERT_TRUE(SaveGate(gate, c.gate, {{"keep", "compressed"}, {"storage", "int8"}}).ok());
  EXPECT_NE(GateKeepWarning(c).find("kept in int8, this arm keeps them f32"), std::string::npos)
      << GateKeepWarning(c);
  c.storage = "int8";
  EXPECT_EQ(GateKeepWarning(c), "");
  EXPECT_EQ(GateKeepWarning(SmallConfig("window")), "");
}

TEST(Gate, WrongFilesAreRefused) {
  const ScratchDir folder;
  EXPECT_EQ(LoadGate(folder / "none.safetensors").status().code(), StatusCode::kBadInput);
  ASSERT_TRUE(WriteSafetensors(folder / "other.safetensors", {{{"x", torch::ones({2})}}, {}}).ok());
  EXPECT_EQ(LoadGate(folder / "other.safetensors").status().code(), StatusCode::kBadInput);
  const CacheGeometry g = SmallGeometry();
  CacheConfig c = SmallConfig("gated");
  c.gate = SaveRandomGate(folder, g, c);
  EXPECT_TRUE(MakeCachePolicy(c, g).ok());
  c.chunk_blocks = 5;  // trained for chunks of 4
  const Status s = MakeCachePolicy(c, g).status();
  EXPECT_EQ(s.code(), StatusCode::kBadInput);
  EXPECT_NE(s.message().find("chunks of 12 tokens"), std::string::npos) << s.message();
  // Weights that are no reals, or not finite.
  for (const at::Tensor& bias : {torch::ones({1}, at::kChar), torch::full({1}, NAN)}) {
    auto file = ReadSafetensors(c.gate);
    ASSERT_TRUE(file.ok());
    file->tensors["head.bias"] = bias;
    ASSERT_TRUE(WriteSafetensors(folder / "odd.safetensors", *file).ok());
    const Status odd = LoadGate(folder / "odd.safetensors").status();
    EXPECT_EQ(odd.code(), StatusCode::kBadInput);
    EXPECT_NE(odd.message().find("'head.bias'"), std::string::npos) << odd.message();
  }
  // A part that is there or not.
  auto parts = ReadSafetensors(c.gate);
  ASSERT_TRUE(parts.ok());
  parts->metadata["lstm"] = "perhaps";
  ASSERT_TRUE(WriteSafetensors(folder / "parts.safetensors", *parts).ok());
  EXPECT_NE(LoadGate(folder / "parts.safetensors").status().message().find("'lstm' is 'perhaps'"),
            std::string::npos);
  parts->metadata["lstm"] = "0";  // its tensors are there all the same
  ASSERT_TRUE(WriteSafetensors(folder / "parts.safetensors", *parts).ok());
  EXPECT_NE(LoadGate(folder / "parts.safetensors").status().message().find("lstm."),
            std::string::npos);
  // Metadata that lies about the size must not allocate it.
  auto file = ReadSafetensors(c.gate);
  ASSERT_TRUE(file.ok());
  file->metadata["hidden"] = "1000000";
  ASSERT_TRUE(WriteSafetensors(folder / "lies.safetensors", *file).ok());
  EXPECT_EQ(LoadGate(folder / "lies.safetensors").status().code(), StatusCode::kBadInput);
}

}  // namespace
}  // namespace kvla

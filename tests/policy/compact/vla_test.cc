// SPDX-License-Identifier: Apache-2.0
// The policy as the harness runs it: what an inference says it cost, and what it does.
#include "policy/compact/vla.h"

#include <gtest/gtest.h>

#include <memory>

#include "kv_efficient/cache_geometry.h"
#include "kv_efficient/cost_model.h"
#include "kv_efficient/methods/learned/chunk_gate.h"
#include "policy/compact/checkpoint.h"
#include "policy/compact/checkpoint_hash.h"
#include "policy/compact/net/vla_net.h"
#include "tests/flop_counter.h"
#include "tests/policy/loaded_vla.h"
#include "tests/policy/tiny_policy.h"
#include "tests/scratch_dir.h"

namespace kvla {
namespace {

// Advances by one with each look at it.
struct TickClock {
  std::shared_ptr<double> ms = std::make_shared<double>(0);
  double operator()() const { return (*ms)++; }
};

class VlaTest : public testing::Test {
 protected:
  void SetUp() override {
    torch::manual_seed(7);
    net_ = VlaNet(config_);
    image_.resize(size_t{3} * config_.image_size * config_.image_size);
    for (size_t i = 0; i < image_.size(); ++i) image_[i] = static_cast<uint8_t>(i * 37 % 251);
  }

  // Window 4, chunks of 2: after the sixth block, and every second one from there, a chunk leaves.
  CacheConfig Cache(const std::string& policy, const std::string& keep = "whole") {
    CacheConfig cache;
    cache.policy = policy;
    cache.keep = keep;
    cache.window_blocks = config_.window_blocks;
    cache.chunk_blocks = config_.chunk_blocks;
    if (policy == "gated") {
      ChunkGate gate(GateShape{GeometryOf(config_, 4, 1).gate_features(),
                               config_.chunk_blocks * config_.tokens_per_block()});
      cache.gate = (scratch_ / "gate.safetensors").string();
      cache.threshold = 0;  // whatever the gate says, the chunk is kept
      EXPECT_TRUE(SaveCheckpoint(scratch_ / "policy", net_, {}).ok());
      const Result<std::string> hash = CheckpointHash(scratch_ / "policy");
      EXPECT_TRUE(SaveGate(gate, cache.gate, {{kGatePolicyKey, *hash}}).ok());
    }
    return cache;
  }

  LoadedVla Load(const CacheConfig& cache, const MsClock& clock = SteadyMs) {
    EXPECT_TRUE(SaveCheckpoint(scratch_ / "policy", net_, {}).ok());
    Vla::Options options;
    options.checkpoint = scratch_ / "policy";
    options.clock = clock;
    Result<LoadedVla> vla = LoadVla(options, {.cache = cache, .max_blocks = 32, .clock = clock});
    EXPECT_TRUE(vla.ok()) << vla.status().message();
    EXPECT_TRUE(vla->BeginEpisode({.instruction = "press the button"}).ok());
    return *std::move(vla);
  }

  Inference Infer(LoadedVla& vla) {
    FrameInput input;
    input.images = {image_, image_};
    input.proprio = {0.5F, 0, 0.2F, 0, 0, 0, 0.04F};
    Result<Inference> inference = vla.Infer(input);
    EXPECT_TRUE(inference.ok()) << inference.status().message();
    return *std::move(inference);
  }

  ScratchDir scratch_;
  PolicyConfig config_ = TinyConfig();
  VlaNet net_{nullptr};
  std::vector<uint8_t> image_;
};

// Encoders, decoder and heads: every product that LibTorch is asked for when it computes the same
// net, and nothing else. (Attention's and the gate's are counted in tests/kv_efficient.)
TEST_F(VlaTest, FlopsAreTheProductsThatAnInferenceMakes) {
  const CacheGeometry geometry = GeometryOf(config_, 4, 32);
  double net = 0;
  {
    const torch::NoGradGuard no_grad;
    const torch::Tensor image =
        torch::zeros({1, config_.image_size, config_.image_size, 3}, torch::kUInt8);
    const torch::Tensor proprio = torch::zeros({1, kProprioDim});
    const FlopCounter counter;
    const torch::Tensor block = net_->EncodeBlocks({image, image}, proprio).squeeze(0);
    const torch::Tensor hidden =
        net_->decoder()->forward(block, [](int, const Qkv& qkv) { return qkv.q; });
    net_->Heads(hidden, proprio.squeeze(0));
    net = counter.total();
  }
  for (const auto& [policy, keep] : {std::pair{"full", "whole"},
                                     {"window", "whole"},
                                     {"sink_window", "compressed"},
                                     {"gated", "whole"},
                                     {"gated", "compressed"}}) {
    LoadedVla vla = Load(Cache(policy, keep));
    const ChunkGate gate(
        GateShape{geometry.gate_features(), config_.chunk_blocks * config_.tokens_per_block()});
    int decisions = 0;
    for (int block = 0; block < 12; ++block) {
      const Inference inference = Infer(vla);
      const bool planned = !inference.changes.empty();
      const double attention =
          DecoderFlops(geometry, {}, config_.tokens_per_block(), inference.cost.attended_tokens)
              .attention;
      const double planning = planned && policy == std::string("gated") ? gate->Flops() : 0;
      EXPECT_NEAR(inference.cost.flops / (net + attention + planning), 1, 1e-12)
          << policy << " " << keep << ", block " << block;
      decisions += planned ? 1 : 0;
    }
    EXPECT_EQ(decisions, 4) << policy;
  }
}

TEST_F(VlaTest, EachPartOfAnInferenceHasItsTimeOnce) {
  const TickClock clock;
  LoadedVla vla = Load(Cache("gated"), clock);
  for (int block = 0; block < 6; ++block) {
    const Inference inference = Infer(vla);
    // The decoder has two layers: four looks at the clock within it, two ticks of which are
    // attention's.
    EXPECT_EQ(inference.cost.latency.encode_ms, 1);
    EXPECT_EQ(inference.cost.latency.linear_ms, 3);
    EXPECT_EQ(inference.cost.latency.attend_ms, 2);
    EXPECT_EQ(inference.cost.latency.act_ms, 1);
    EXPECT_EQ(inference.cost.latency.gate_ms, block == 5 ? 1 : 0);
    EXPECT_EQ(inference.cost.latency.compact_ms, block == 5 ? 2 : 0);
  }
}

TEST_F(VlaTest, MemoryIsThatOfTheCache) {
  LoadedVla vla = Load(Cache("gated", "compressed"));
  Inference inference;
  for (int block = 0; block < 6; ++block) inference = Infer(vla);
  // 4 tokens of instruction and 4 a block; of 6 blocks two leave and become 4 summaries. A token
  // has keys and values of 2 layers, 2 heads, 8 wide, in 4 bytes.
  const int64_t token = 2 * 2 * 2 * 8 * 4;
  EXPECT_EQ(inference.cost.attended_tokens, 28);
  EXPECT_EQ(inference.cost.kv_attending_bytes, 28 * token);
  EXPECT_EQ(inference.cost.cached_tokens, 24);
  EXPECT_EQ(inference.cost.kv_live_bytes, 24 * token);
  EXPECT_EQ(inference.cost.kv_committed_bytes, 8 * 4096);  // a page a lane of keys and of values
  EXPECT_GT(inference.cost.kv_transient_bytes, 0);
  EXPECT_GT(inference.cost.method_bytes, 4 * 64 * 64);
}

// -1 opens, +1 closes: the head gives the logit of "close".
TEST_F(VlaTest, TheGripperClosesWhereTheHeadSaysClose) {
  {
    const torch::NoGradGuard no_grad;
    const auto parameters = net_->named_parameters();
    parameters["action_head.2.weight"].zero_();
    torch::Tensor bias = parameters["action_head.2.bias"].zero_().view({config_.replan_steps, -1});
    for (int step = 0; step < config_.replan_steps; ++step) {
      bias[step][4] = step % 2 == 0 ? 0.5 : -0.5;
    }
  }
  LoadedVla vla = Load(Cache("full"));
  const Inference inference = Infer(vla);
  ASSERT_EQ(inference.targets.size(), 4U);
  for (size_t step = 0; step < 4; ++step) {
    EXPECT_EQ(inference.targets[step][6], step % 2 == 0 ? 1.0F : -1.0F) << step;
  }
}

}  // namespace
}  // namespace kvla

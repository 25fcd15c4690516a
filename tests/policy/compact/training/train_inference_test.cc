// SPDX-License-Identifier: Apache-2.0
// The training pass and cached inference agree within 1e-5 under every method.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "kv_efficient/kv_cache.h"
#include "kv_efficient/methods/learned/chunk_gate.h"
#include "kv_efficient/methods/learned/write_gate.h"
#include "kv_efficient/methods/method_table.h"
#include "kv_efficient/training/training_attention.h"
#include "kv_efficient/training/visibility.h"
#include "policy/compact/checkpoint.h"
#include "policy/compact/net/cached_forward.h"
#include "policy/compact/net/vla_net.h"
#include "policy/compact/text/text_encoder_files.h"
#include "policy/compact/training/minibatch.h"
#include "policy/compact/training/training_forward.h"
#include "tensors/torch.h"
#include "tests/policy/tiny_policy.h"

namespace kvla {
namespace {

constexpr int kBlocks = 23;
constexpr double kTolerance = 1e-5;

struct Case {
  std::string policy, keep, text = "words";
};

// What a sentence's embedding looks like.
torch::Tensor UnitVector() {
  const torch::Tensor direction = torch::randn({kTextEmbeddingSize});
  return direction / direction.norm();
}

std::string CaseName(const testing::TestParamInfo<Case>& info) {
  return info.param.policy + "_" + info.param.keep + "_" + info.param.text;
}

class TrainInference : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    torch::manual_seed(3);
    torch::set_num_threads(1);
    config_ = TinyConfig();
    config_.text = GetParam().text;
    net_ = VlaNet(config_);
    net_->eval();
    instruction_ =
        config_.reads_sentences() ? UnitVector() : torch::tensor({0, 2, 3, 4}, torch::kInt64);
    ASSERT_EQ(net_->InstructionTokens(instruction_), 4);
    blocks_ = torch::randn({kBlocks, config_.tokens_per_block(), config_.hidden_size});
  }

  CacheConfig Cache() {
    CacheConfig cache;
    cache.policy = GetParam().policy;
    cache.window_blocks = config_.window_blocks;
    cache.chunk_blocks = config_.chunk_blocks;
    cache.keep = GetParam().keep;
    const CacheMethod& method = *FindCacheMethod(cache.policy);
    if (method.usual_budget > 0 && method.has_budget()) cache.budget_chunks = 2;
    // A log of chunks does not tell which tokens lanes keep: here they keep all.
    if (method.reads("budget_of")) cache.budget_tokens = 1000;
    if (method.reads("read_chunks")) cache.read_chunks = 1000;
    if (method.reads("gate") && method.name != "gated") {
      cache.threshold = 0;
      cache.gate =
          (std::filesystem::path(testing::TempDir()) / (method.name + ".safetensors")).string();
      const WriteGate gate(
          WriteGateShape{config_.num_layers, config_.num_kv_heads, config_.head_dim()});
      EXPECT_TRUE(SaveWriteGate(gate, method.name, cache.gate, {}).ok());
    }
    if (method.name == "gated") {
      const CacheGeometry geometry = GeometryOf(config_, 4, kBlocks);
      ChunkGate gate(
          GateShape{geometry.gate_features(), config_.chunk_blocks * config_.tokens_per_block()});
      cache.gate = (std::filesystem::path(testing::TempDir()) / "gate.safetensors").string();
      EXPECT_TRUE(SaveGate(gate, cache.gate, {}).ok());
    }
    return cache;
  }

  // The decoder's output at every block, one block after the other.
  torch::Tensor Cached(KvCache& cache) {
    const c10::InferenceMode inference_mode;
    cache.Reset({.stream_key = 5, .cue_blocks = {{5, 7}}});
    const std::vector<Qkv> instruction = net_->InstructionKeys(instruction_);
    for (size_t layer = 0; layer < instruction.size(); ++layer) {
      EXPECT_TRUE(cache
                      .AppendInstruction(static_cast<int>(layer), instruction[layer].k,
                                         instruction[layer].v)
                      .ok());
    }
    std::vector<torch::Tensor> out;
    for (int b = 0; b < kBlocks; ++b) {
      EXPECT_TRUE(cache.BeginBlock().ok());
      out.push_back(net_->decoder()->forward(blocks_[b], [&](int layer, const Qkv& qkv) {
        return cache.Attend(layer, qkv.q, qkv.k, qkv.v);
      }));
      EXPECT_TRUE(cache.EndBlock().ok());
    }
    return torch::stack(out).clone();
  }

  torch::Tensor Parallel(const std::vector<DecisionEvent>& log) {
    const torch::NoGradGuard no_grad;
    std::vector<int> positions(kBlocks);
    for (int b = 0; b < kBlocks; ++b) positions[b] = b;
    const BlockSchedule schedule(config_.window_blocks, config_.chunk_blocks);
    Result<Visibility> seen = BuildVisibility(schedule, 4, config_.tokens_per_block(), positions,
                                              log, ChunkAction::kDropped);
    EXPECT_TRUE(seen.ok()) << seen.status().message();
    const RotaryTable rotary(config_.head_dim(), config_.rope_theta, kBlocks + 1);
    const Result<TrainingPlan> plan =
        PlanTraining({&*seen, 1}, rotary, config_.age_clamp_blocks, torch::kCPU);
    EXPECT_TRUE(plan.ok()) << plan.status().message();
    const std::vector<Qkv> instruction = net_->InstructionKeys(instruction_);
    const torch::Tensor x = blocks_.view({1, -1, config_.hidden_size});
    return net_->decoder()
        ->forward(x,
                  [&](int layer, const Qkv& qkv) {
                    const Qkv& i = instruction[layer];
                    return TrainingAttention(qkv.q, torch::cat({i.k.unsqueeze(0), qkv.k}, 2),
                                             torch::cat({i.v.unsqueeze(0), qkv.v}, 2), *plan);
                  })
        .view_as(blocks_);
  }

  PolicyConfig config_;
  VlaNet net_{nullptr};
  torch::Tensor instruction_, blocks_;
};

TEST_P(TrainInference, Agree) {
  const CacheConfig config = Cache();
  const CacheGeometry geometry = GeometryOf(config_, 4, kBlocks);
  Result<std::unique_ptr<CachePolicy>> policy = MakeCachePolicy(config, geometry);
  ASSERT_TRUE(policy.ok()) << policy.status().message();
  Result<std::unique_ptr<KvCache>> cache =
      KvCache::Create(geometry, config, *std::move(policy), torch::kCPU);
  ASSERT_TRUE(cache.ok()) << cache.status().message();
  const torch::Tensor cached = Cached(**cache);
  const std::vector<DecisionEvent> log = (*cache)->decision_log();
  EXPECT_LT((cached - Parallel(log)).abs().max().item<double>(), kTolerance);
}

// Every method, every way to keep, and a sentence as instruction. `recompute` has no training pass
// of its own: recomputed_window_test.cc.
std::vector<Case> EveryCase() {
  std::vector<Case> cases;
  for (const CacheMethod& method : CacheMethods()) {
    if (method.window_again) continue;
    cases.push_back({method.name, "whole"});
    if (method.reads("keep")) cases.push_back({method.name, "compressed"});
    cases.push_back({method.name, cases.back().keep, "minilm"});
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(EveryMethod, TrainInference, testing::ValuesIn(EveryCase()), CaseName);

// Samples of one step may read different instructions; each sees what its own episode would.
TEST(TrainInferenceMixed, EachSampleReadsItsOwnInstruction) {
  torch::manual_seed(4);
  torch::set_num_threads(1);
  const torch::NoGradGuard no_grad;
  PolicyConfig config = TinyConfig();
  config.text = "minilm";
  VlaNet net(config);
  net->eval();
  const std::vector<torch::Tensor> instructions = {UnitVector(), UnitVector()};
  const std::vector<DemoEpisode> episodes = {TinyEpisode(config, 17, 3, 1),
                                             TinyEpisode(config, 12, 3, 2)};
  std::vector<SubHistory> histories;
  Rng rng(1);
  for (const DemoEpisode& episode : episodes) {
    histories.push_back(DrawSubHistory(episode, {.max_blocks = 100, .chunk_blocks = 2}, rng));
  }
  const Batch batch =
      MakeBatch({&episodes[0], &episodes[1]}, histories, config, torch::stack(instructions));
  const HeadOutputs together = TrainingForward(net, batch, Told::kNothing);
  for (size_t s = 0; s < episodes.size(); ++s) {
    const CacheGeometry geometry = GeometryOf(config, config.instruction_tokens, 20);
    CacheConfig settings;
    settings.window_blocks = config.window_blocks;
    settings.chunk_blocks = config.chunk_blocks;
    Result<std::unique_ptr<CachePolicy>> policy = MakeCachePolicy(settings, geometry);
    ASSERT_TRUE(policy.ok()) << policy.status().message();
    Result<std::unique_ptr<KvCache>> cache =
        KvCache::Create(geometry, settings, *std::move(policy), torch::kCPU);
    ASSERT_TRUE(cache.ok()) << cache.status().message();
    (*cache)->Reset({});
    ASSERT_TRUE(FeedInstruction(net, instructions[s], **cache).ok());
    const torch::Tensor tokens =
        net->EncodeBlocks(batch.images, batch.proprio)
            .view({batch.samples, batch.blocks, config.tokens_per_block(), config.hidden_size});
    for (int b = 0; b < episodes[s].blocks; ++b) {
      ASSERT_TRUE((*cache)->BeginBlock().ok());
      const torch::Tensor hidden = FeedBlock(net, tokens[static_cast<int64_t>(s)][b], **cache);
      ASSERT_TRUE((*cache)->EndBlock().ok());
      const torch::Tensor seen = batch.proprio[static_cast<int64_t>(s) * batch.blocks + b];
      const torch::Tensor motion = net->Heads(hidden, seen).motion;
      EXPECT_LT((motion - together.motion[static_cast<int64_t>(s)][b]).abs().max().item<double>(),
                kTolerance)
          << "sample " << s << ", block " << b;
    }
  }
}

}  // namespace
}  // namespace kvla

// SPDX-License-Identifier: Apache-2.0
// `recompute` shows what the window alone knows; under `window` a trace goes on from block to
// block.
#include "policy/compact/net/recomputed_window.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "kv_efficient/cost_model.h"
#include "kv_efficient/methods/method_table.h"
#include "kv_efficient/training/training_attention.h"
#include "kv_efficient/training/visibility.h"
#include "policy/compact/checkpoint.h"
#include "policy/compact/cpu/cpu_net.h"
#include "policy/compact/net/cached_forward.h"
#include "policy/compact/text/text_encoder_files.h"
#include "policy/compact/vla.h"
#include "tests/policy/loaded_vla.h"
#include "tests/policy/tiny_policy.h"
#include "tests/scratch_dir.h"

namespace kvla {
namespace {

constexpr int kBlocks = 24;
constexpr double kTolerance = 1e-5;

double Difference(const torch::Tensor& a, const torch::Tensor& b) {
  return (a - b).abs().max().item<double>();
}

CacheConfig CacheOf(const std::string& method, const PolicyConfig& sizes) {
  CacheConfig cache;
  cache.policy = method;
  cache.window_blocks = sizes.window_blocks;
  cache.chunk_blocks = sizes.chunk_blocks;
  return cache;
}

// A net and encoded frame blocks, run block by block under a method.
class RecomputedWindowTest : public testing::Test {
 protected:
  void SetUp() override {
    torch::manual_seed(11);
    torch::set_num_threads(1);
    Use(VlaNet(TinyConfig()));
  }

  void Use(VlaNet net, int blocks = kBlocks) {
    net_ = std::move(net);
    net_->eval();
    const PolicyConfig& sizes = net_->config();
    schedule_ = BlockSchedule(sizes.window_blocks, sizes.chunk_blocks);
    instruction_ =
        sizes.reads_sentences()
            ? torch::nn::functional::normalize(torch::randn({1, kTextEmbeddingSize})).squeeze(0)
            : torch::tensor({0, 2, 3, 4}, torch::kInt64);
    blocks_ = torch::randn({blocks, sizes.tokens_per_block(), sizes.hidden_size});
  }

  std::unique_ptr<KvCache> MakeCache(const std::string& method) {
    const CacheConfig config = CacheOf(method, net_->config());
    const CacheGeometry geometry =
        GeometryOf(net_->config(), net_->InstructionTokens(instruction_), 200);
    Result<std::unique_ptr<CachePolicy>> policy = MakeCachePolicy(config, geometry);
    EXPECT_TRUE(policy.ok()) << policy.status().message();
    Result<std::unique_ptr<KvCache>> cache =
        KvCache::Create(geometry, config, *std::move(policy), torch::kCPU);
    EXPECT_TRUE(cache.ok()) << cache.status().message();
    return *std::move(cache);
  }

  // What the heads would read at every block: [blocks, tokens_per_block, hidden].
  torch::Tensor Run(const std::string& method, const torch::Tensor& blocks,
                    std::vector<DecisionEvent>* log = nullptr) {
    const c10::InferenceMode inference_mode;
    const std::unique_ptr<KvCache> cache = MakeCache(method);
    EXPECT_EQ(cache->needs().window_again, method == "recompute");
    RecomputedWindow window;
    CpuNet forward(*net_);
    EXPECT_TRUE(forward.ReadInstruction(instruction_, *cache).ok());
    std::vector<torch::Tensor> out;
    for (int64_t b = 0; b < blocks.size(0); ++b) {
      torch::Tensor hidden = blocks[b].clone();
      const std::span<float> rows(hidden.data_ptr<float>(), static_cast<size_t>(hidden.numel()));
      KvCache* const caches[] = {cache.get()};
      if (cache->needs().window_again) {
        const Status status = window.Feed(forward, rows, *cache);
        EXPECT_TRUE(status.ok()) << status.message();
      } else {
        EXPECT_TRUE(cache->BeginBlock().ok());
        forward.Feed(caches, rows.data());
      }
      out.push_back(hidden);
      EXPECT_TRUE(cache->EndBlock().ok());
    }
    if (log != nullptr) *log = cache->decision_log();
    return torch::stack(out);
  }

  // The first block whose trace block `p` can hold: a layer reaches back as far as its window does.
  int FirstRelayed(int p) const {
    for (int layer = 0; layer < net_->config().num_layers; ++layer) p = schedule_.NearBegin(p);
    return p;
  }

  VlaNet net_{nullptr};
  BlockSchedule schedule_;
  torch::Tensor instruction_, blocks_;
};

TEST_F(RecomputedWindowTest, IsWindowAndFullWhileNothingHasLeft) {
  const int within = schedule_.LeavesAfter(0) + 1;
  const torch::Tensor blocks = blocks_.narrow(0, 0, within);
  const torch::Tensor anew = Run("recompute", blocks);
  EXPECT_LT(Difference(anew, Run("window", blocks)), kTolerance);
  EXPECT_LT(Difference(anew, Run("full", blocks)), kTolerance);
}

TEST_F(RecomputedWindowTest, IsAnEpisodeOfTheWindowsBlocksAlone) {
  const torch::Tensor anew = Run("recompute", blocks_), cached = Run("window", blocks_);
  bool differs = false;
  for (int p = 0; p < kBlocks; ++p) {
    const int first = schedule_.NearBegin(p);
    const torch::Tensor alone = Run("full", blocks_.narrow(0, first, p + 1 - first));
    EXPECT_LT(Difference(anew[p], alone[p - first]), kTolerance) << "block " << p;
    differs |= Difference(anew[p], cached[p]) > 100 * kTolerance;
  }
  EXPECT_TRUE(differs);  // or the two methods were one
}

// The row of `recompute` in the matrix of tests/policy/train_inference_test.cc: the training pass
// over a sample that begins where the window does.
TEST_F(RecomputedWindowTest, IsTheTrainingPassOverItsWindow) {
  const torch::NoGradGuard no_grad;
  const torch::Tensor anew = Run("recompute", blocks_);
  const PolicyConfig& sizes = net_->config();
  const RotaryTable rotary(sizes.head_dim(), sizes.rope_theta, kBlocks + 1);
  const std::vector<Qkv> instruction = net_->InstructionKeys(instruction_);
  for (int p = 0; p < kBlocks; ++p) {
    std::vector<int> positions(p + 1 - schedule_.NearBegin(p));
    std::iota(positions.begin(), positions.end(), schedule_.NearBegin(p));
    const Result<Visibility> seen = BuildVisibility(schedule_, 4, sizes.tokens_per_block(),
                                                    positions, {}, ChunkAction::kDropped);
    ASSERT_TRUE(seen.ok()) << seen.status().message();
    const Result<TrainingPlan> plan =
        PlanTraining({&*seen, 1}, rotary, sizes.age_clamp_blocks, torch::kCPU);
    ASSERT_TRUE(plan.ok()) << plan.status().message();
    const torch::Tensor x =
        blocks_.narrow(0, positions.front(), static_cast<int64_t>(positions.size()));
    const torch::Tensor hidden = net_->decoder()->forward(
        x.reshape({1, -1, sizes.hidden_size}), [&](int layer, const Qkv& qkv) {
          const Qkv& i = instruction[layer];
          return TrainingAttention(qkv.q, torch::cat({i.k.unsqueeze(0), qkv.k}, 2),
                                   torch::cat({i.v.unsqueeze(0), qkv.v}, 2), *plan);
        });
    EXPECT_LT(Difference(anew[p], hidden.view_as(x)[static_cast<int64_t>(positions.size()) - 1]),
              kTolerance)
        << "block " << p;
  }
}

TEST_F(RecomputedWindowTest, WhatLeftLeavesNoTraceAndUnderWindowItIsRelayed) {
  constexpr int kChanged = 1;
  torch::Tensor other = blocks_.clone();
  other[kChanged].copy_(torch::randn_like(other[kChanged]));
  const torch::Tensor anew = Run("recompute", blocks_), anew_other = Run("recompute", other);
  const torch::Tensor cached = Run("window", blocks_), cached_other = Run("window", other);
  int relayed = 0;
  for (int p = 0; p < kBlocks; ++p) {
    const bool sees = p >= kChanged && schedule_.NearBegin(p) <= kChanged;
    const bool reached = p >= kChanged && FirstRelayed(p) <= kChanged;
    EXPECT_EQ(torch::equal(anew[p], anew_other[p]), !sees) << "block " << p;
    EXPECT_EQ(torch::equal(cached[p], cached_other[p]), !reached) << "block " << p;
    relayed += reached && !sees;
  }
  EXPECT_EQ(relayed, schedule_.window_blocks);  // the second layer's reach, here: two layers
}

// The policy that the suite ships: what was seen 13 s ago can still be in what is cached.
TEST_F(RecomputedWindowTest, TheSuitesPolicyRelaysOverAllItsLayers) {
  Result<Checkpoint> suite = LoadCheckpoint(KVLA_ASSET_ROOT "/policy/weights/suite");
  ASSERT_TRUE(suite.ok()) << suite.status().message();
  Use(suite->net, 80);
  const torch::NoGradGuard no_grad;
  torch::Tensor other = blocks_.clone();
  other[0].copy_(torch::randn_like(other[0]));
  const torch::Tensor a = Run("window", blocks_), b = Run("window", other);
  int last = 0;
  for (int p = 0; p < 80; ++p) {
    EXPECT_EQ(torch::equal(a[p], b[p]), FirstRelayed(p) > 0) << "block " << p;
    if (!torch::equal(a[p], b[p])) last = p;
  }
  EXPECT_EQ(last, 67);  // 16 blocks a layer, and the 3 that a chunk waits for its last one
}

TEST_F(RecomputedWindowTest, DecidesAsWindowDoes) {
  std::vector<DecisionEvent> anew, cached;
  Run("recompute", blocks_, &anew);
  Run("window", blocks_, &cached);
  ASSERT_EQ(anew.size(), cached.size());
  ASSERT_EQ(anew.size(), static_cast<size_t>(schedule_.LeftChunks(kBlocks)));
  for (size_t i = 0; i < anew.size(); ++i) {
    EXPECT_EQ(anew[i].block, cached[i].block);
    EXPECT_EQ(anew[i].decision.chunk, cached[i].decision.chunk);
    EXPECT_EQ(anew[i].decision.action, ChunkAction::kDropped);
    EXPECT_EQ(anew[i].decision.reason, ReasonCode::kWindowOnly);
  }
}

// A loaded policy over an episode's frames.
class RecomputeArm : public testing::Test {
 protected:
  void SetUp() override {
    torch::manual_seed(2);
    VlaNet net(sizes_);
    ASSERT_TRUE(SaveCheckpoint(folder_ / "policy", net, {}).ok());
  }

  LoadedVla Load(const std::string& method) {
    Vla::Options options;
    options.checkpoint = folder_ / "policy";
    Result<LoadedVla> vla =
        LoadVla(options, {.cache = CacheOf(method, sizes_), .max_blocks = kBlocks});
    EXPECT_TRUE(vla.ok()) << vla.status().message();
    return *std::move(vla);
  }

  std::vector<Inference> Run(LoadedVla& vla, const DemoEpisode& episode) {
    EXPECT_TRUE(vla.BeginEpisode({.instruction = episode.instruction}).ok());
    const size_t bytes = size_t{3} * sizes_.image_size * sizes_.image_size;
    std::vector<Inference> out;
    for (int b = 0; b < episode.blocks; ++b) {
      FrameInput input;
      for (const auto& camera : episode.images) {
        input.images.emplace_back(camera.data() + bytes * b, bytes);
      }
      input.proprio = episode.proprio[b];
      Result<Inference> inference = vla.Infer(input);
      EXPECT_TRUE(inference.ok()) << inference.status().message();
      out.push_back(*std::move(inference));
    }
    return out;
  }

  const PolicyConfig sizes_ = TinyConfig();
  const ScratchDir folder_;
};

TEST_F(RecomputeArm, PaysForEveryBlockThatItRunsAgain) {
  const DemoEpisode episode = TinyEpisode(sizes_, 20, 3, 1);
  LoadedVla window = Load("window"), anew = Load("recompute");
  const std::vector<Inference> cached = Run(window, episode), paid = Run(anew, episode);
  const BlockSchedule schedule(sizes_.window_blocks, sizes_.chunk_blocks);
  const int64_t input_bytes = int64_t{4} * sizes_.tokens_per_block() * sizes_.hidden_size;
  // The first inference runs one block over instruction and itself: encoder, linear, attention.
  const CacheGeometry g = GeometryOf(sizes_, anew.session->instruction_tokens(), kBlocks);
  const int64_t t = sizes_.tokens_per_block(), instruction = anew.session->instruction_tokens();
  const FlopParts first = DecoderFlops(g, {sizes_.hidden_size, sizes_.intermediate_size},
                                       static_cast<int>(t), static_cast<double>(instruction + t));
  EXPECT_DOUBLE_EQ(paid[0].cost.flops, cached[0].cost.flops);
  for (int p = 0; p < episode.blocks; ++p) {
    const int near = p + 1 - schedule.NearBegin(p);
    // Block i of the window meets the instruction and i + 1 blocks.
    double met = 0;
    for (int i = 0; i < near; ++i) met += static_cast<double>(instruction + (i + 1) * t);
    const double extra_linear = first.linear * (near - 1);
    const double extra_attention = first.attention *
                                   (met - static_cast<double>(instruction + near * t)) /
                                   static_cast<double>(instruction + t);
    EXPECT_NEAR(paid[p].cost.flops, cached[p].cost.flops + extra_linear + extra_attention,
                1e-9 * paid[p].cost.flops)
        << "inference " << p;
    EXPECT_EQ(paid[p].cost.kv_live_bytes, cached[p].cost.kv_live_bytes);
    EXPECT_EQ(paid[p].cost.method_bytes, *cached[p].cost.method_bytes + near * input_bytes);
    EXPECT_EQ(paid[p].cost.cached_tokens, cached[p].cost.cached_tokens);
    EXPECT_EQ(paid[p].changes.size(), cached[p].changes.size());
    EXPECT_GE(paid[p].cost.latency.linear_ms, 0);
    EXPECT_GT(paid[p].cost.latency.attend_ms, 0);
  }
}

TEST_F(RecomputeArm, ForgetsTheLastEpisode) {
  const DemoEpisode first = TinyEpisode(sizes_, 20, 3, 1), second = TinyEpisode(sizes_, 11, 2, 2);
  LoadedVla used = Load("recompute"), fresh = Load("recompute");
  Run(used, first);
  const std::vector<Inference> a = Run(used, second), b = Run(fresh, second);
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].targets, b[i].targets) << "inference " << i;
    EXPECT_EQ(a[i].cost.kv_live_bytes, b[i].cost.kv_live_bytes) << "inference " << i;
  }
}

TEST_F(RecomputeArm, SaysWhatEachChunkReceivesOfTheAttention) {
  const DemoEpisode episode = TinyEpisode(sizes_, 12, 3, 1);
  LoadedVla anew = Load("recompute");
  anew.session->ReportAttention(true);
  for (const Inference& inference : Run(anew, episode)) {
    const size_t row = inference.attention.size() / static_cast<size_t>(sizes_.num_layers);
    ASSERT_GT(row, 1u);
    EXPECT_NEAR(
        std::accumulate(inference.attention.begin(),
                        inference.attention.begin() + static_cast<std::ptrdiff_t>(row), 0.0),
        1.0, 1e-5);
  }
}

}  // namespace
}  // namespace kvla

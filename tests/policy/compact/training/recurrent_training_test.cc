// SPDX-License-Identifier: Apache-2.0
// Recurrent policies (policy.memory) in training: what a history's pass sees is what inference
// sees, and a bit that left the window is remembered.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "kv_efficient/cost_model.h"
#include "policy/compact/checkpoint.h"
#include "policy/compact/gate/gate_training.h"
#include "policy/compact/net/device_net.h"
#include "policy/compact/net/recurrent_feed.h"
#include "policy/compact/net/shapes.h"
#include "policy/compact/training/train.h"
#include "policy/compact/training/training_forward.h"
#include "policy/compact/vla.h"
#include "tests/policy/loaded_vla.h"
#include "tests/policy/tiny_policy.h"

namespace kvla {
namespace {

namespace fs = std::filesystem;

PolicyConfig Recurrent() {
  PolicyConfig config = TinyConfig();
  config.memory = "recurrent";
  config.recurrent_size = 32;
  config.recurrent_tokens = 2;
  return config;
}

std::string Folder(const std::string& name) {
  const fs::path folder = fs::path(testing::TempDir()) / name;
  fs::remove_all(folder);
  return folder.string();
}

FrameInput InputOf(const DemoEpisode& episode, int block) {
  const size_t bytes = episode.images[0].size() / episode.blocks;
  FrameInput input;
  for (const auto& camera : episode.images) {
    input.images.emplace_back(camera.data() + block * bytes, bytes);
  }
  input.proprio = episode.proprio[block];
  return input;
}

TEST(RecurrentTraining, SeesWhatInferenceSees) {
  for (const int clamp : {0, 9}) {
    PolicyConfig config = Recurrent();
    config.age_clamp_blocks = clamp;
    torch::manual_seed(5);
    VlaNet net(config);
    net->eval();
    const torch::NoGradGuard no_grad;
    const torch::Tensor instruction = torch::tensor({0, 2, 4, 3}, torch::kInt64);
    // Two samples: a whole history, and one with gaps and padding.
    const std::vector<DemoEpisode> episodes = {TinyEpisode(config, 10, 1, 1),
                                               TinyEpisode(config, 12, 1, 2)};
    std::vector<SubHistory> histories(2);
    for (int block = 0; block < 10; ++block) histories[0].blocks.push_back(block);
    histories[1].blocks = {0, 1, 6, 7, 8};
    const Batch batch = MakeBatch({&episodes[0], &episodes[1]}, histories, config, instruction);
    const HeadOutputs trained = TrainingForward(net, batch, Told::kNothing);

    DeviceNet forward(net, torch::kCPU);
    for (int sample = 0; sample < 2; ++sample) {
      const std::unique_ptr<KvCache> cache =
          *KvCache::Create(GeometryOf(config, 4, 1), CacheConfig(), torch::kCPU);
      RecurrentState state = forward.BeginState(instruction);
      ASSERT_TRUE(forward.ReadInstruction(instruction, *cache).ok());
      for (size_t i = 0; i < histories[sample].blocks.size(); ++i) {
        const FrameInput input = InputOf(episodes[sample], histories[sample].blocks[i]);
        const FrameInput* const inputs[] = {&input};
        std::vector<float> block(size_t{1} * config.tokens_per_block() * config.hidden_size);
        forward.Encode(inputs, block.data());
        KvCache* const caches[] = {cache.get()};
        RecurrentState* const states[] = {&state};
        ASSERT_TRUE(FeedRecurrent(forward, config, caches, states, block.data()).ok());
        std::vector<BlockForward::Targets> targets(1);
        forward.Act(inputs, block.data(), targets);
        for (int step = 0; step < config.replan_steps; ++step) {
          for (int d = 0; d < 3; ++d) {
            EXPECT_NEAR(targets[0][step][d],
                        trained.motion[sample][i][step][d].item<float>() * kPositionScale, 1e-5)
                << clamp << " " << sample << " " << i;
          }
        }
      }
    }
  }
}

// Pairs of episodes that differ in their first block alone: it shows a bit that the last ones need.
TinySource Bits(const std::vector<int>& lengths) {
  std::vector<DemoEpisode> list;
  for (const int blocks : lengths) {
    for (const int bit : {0, 1}) {
      list.push_back(TinyEpisode(TinyConfig(), blocks, 0, 2 * bit));
      if (bit == 0) continue;
      const std::vector<std::vector<uint8_t>>& twins = list[list.size() - 2].images;
      for (size_t c = 0; c < twins.size(); ++c) {
        const auto first = static_cast<std::ptrdiff_t>(twins[c].size() / blocks);
        std::copy(twins[c].begin() + first, twins[c].end(), list.back().images[c].begin() + first);
      }
    }
  }
  return TinySource(std::move(list));
}

TrainConfig ToyConfig(const PolicyConfig& policy, const std::string& name) {
  TrainConfig config;
  config.policy = policy;
  config.out = Folder(name);
  config.steps = 160;
  config.batch = 8;
  config.sample_blocks = 24;
  config.learning_rate = 3e-3;
  config.warmup_steps = 10;
  config.ema_decay = 0;
  config.decision_weight = 4;
  config.checkpoint_every = config.validate_every = config.steps;
  config.bf16 = "off";
  config.threads = 1;
  return config;
}

// Of so many held-out episodes, those whose last motion goes where the bit says.
int RightOf(const std::string& checkpoint, const std::string& method, TinySource episodes) {
  SessionOptions options;
  options.cache.policy = method;
  options.cache.window_blocks = TinyConfig().window_blocks;
  options.cache.chunk_blocks = TinyConfig().chunk_blocks;
  Vla::Options load;
  load.checkpoint = checkpoint;
  Result<LoadedVla> vla = LoadVla(load, options);
  EXPECT_TRUE(vla.ok()) << vla.status().message();
  int right = 0;
  for (int i = 0; vla.ok() && i < episodes.size(); ++i) {
    const DemoEpisode episode = *episodes.Read(i);
    EXPECT_TRUE(vla->BeginEpisode({.instruction = episode.instruction}).ok());
    double y = 0;
    for (int block = 0; block < episode.blocks; ++block) {
      const Result<Inference> inference = vla->Infer(InputOf(episode, block));
      EXPECT_TRUE(inference.ok()) << inference.status().message();
      y = inference->targets[0][1] + episode.proprio[block][1];
    }
    const bool bit = episode.target_class.back() == 2;
    right += bit == (y > 0.1) ? 1 : 0;  // 0.2 m or none
  }
  return right;
}

TEST(RecurrentTraining, RemembersABitThatLeftTheWindow) {
  TinySource demos = Bits({10, 11, 13, 14, 16}), validation = Bits({12});
  const TrainConfig recurrent = ToyConfig(Recurrent(), "recurrent_toy");
  const Status trained = Train(recurrent, demos, validation, {});
  ASSERT_TRUE(trained.ok()) << trained.message();
  const TinySource held_out = Bits({12, 15});
  EXPECT_EQ(RightOf(recurrent.out, "full", held_out), held_out.size());
  // What a window sees at the end is the same in both of a pair, however it was trained.
  TrainConfig cached = ToyConfig(TinyConfig(), "cached_toy");
  cached.steps = 20;
  ASSERT_TRUE(Train(cached, demos, validation, {}).ok());
  EXPECT_EQ(RightOf(cached.out, "recompute", held_out), held_out.size() / 2);
}

class RecurrentVla : public testing::Test {
 protected:
  RecurrentVla() {
    torch::manual_seed(6);
    folder_ = Folder("recurrent_vla");
    VlaNet net(config_);
    EXPECT_TRUE(SaveCheckpoint(folder_, net, {}).ok());
    options_.checkpoint = folder_;
  }
  Result<LoadedVla> Load(const CacheConfig& cache) const {
    return LoadVla(options_, {.cache = cache, .max_blocks = 20});
  }

  const PolicyConfig config_ = Recurrent();
  std::string folder_;
  Vla::Options options_;
};

TEST_F(RecurrentVla, SaysWhatItHoldsAndForgetsAtTheNextEpisode) {
  Result<LoadedVla> vla = Load({});
  ASSERT_TRUE(vla.ok()) << vla.status().message();
  EXPECT_TRUE(vla->policy->spec().recurrent);
  const int tokens = config_.tokens_per_block() + config_.recurrent_tokens;
  EXPECT_EQ(vla->policy->spec().tokens_per_block, tokens);
  const DemoEpisode episode = TinyEpisode(config_, 9, 1, 1);
  std::vector<std::vector<std::array<float, kTargetDim>>> first;
  for (const bool again : {false, true}) {
    ASSERT_TRUE(vla->BeginEpisode({.instruction = "press the button"}).ok());
    vla->session->ReportAttention(again);
    const int instruction = vla->session->instruction_tokens();
    for (int block = 0; block < episode.blocks; ++block) {
      const Result<Inference> inference = vla->Infer(InputOf(episode, block));
      ASSERT_TRUE(inference.ok()) << inference.status().message();
      const InferenceCost& cost = inference->cost;
      // The state and the instruction's mean; keys and values of the instruction alone remain.
      EXPECT_EQ(cost.method_bytes, 4 * (config_.recurrent_size + config_.hidden_size));
      const CacheGeometry g = GeometryOf(config_, instruction, 1);
      EXPECT_EQ(cost.kv_live_bytes, KvBytes(g, instruction));
      EXPECT_EQ(cost.kv_attending_bytes, KvBytes(g, instruction + tokens));
      EXPECT_EQ(cost.attended_tokens, instruction + tokens);
      EXPECT_GT(cost.flops, DecoderFlops(g, {config_.hidden_size, config_.intermediate_size},
                                         tokens, instruction + tokens)
                                .total());
      EXPECT_TRUE(inference->changes.empty());
      EXPECT_TRUE(inference->attention.empty());
      if (again) {
        EXPECT_EQ(inference->targets, first[block]) << block;
      } else {
        first.push_back(inference->targets);
      }
    }
  }
}

TEST_F(RecurrentVla, RefusesWhatIsOfACache) {
  for (const std::string method : {"window", "recompute", "knorm"}) {
    CacheConfig cache;
    cache.policy = method;
    if (method == "knorm") cache.budget_chunks = 3;
    const Result<LoadedVla> vla = Load(cache);
    ASSERT_FALSE(vla.ok()) << method;
    EXPECT_EQ(vla.status().code(), StatusCode::kBadInput);
    EXPECT_NE(vla.status().message().find("leave cache.policy at full"), std::string::npos)
        << vla.status().message();
  }
  CacheConfig packed;
  packed.storage = "int8";
  EXPECT_NE(Load(packed).status().message().find("leave cache.storage at f32"), std::string::npos);

  TinySource demos = Bits({13}), validation = Bits({14});
  GateTrainConfig gate;
  gate.checkpoint = folder_;
  gate.out = Folder("recurrent_gate");
  const Status gated = TrainGate(gate, demos, validation, {});
  EXPECT_EQ(gated.code(), StatusCode::kBadInput);
  EXPECT_NE(gated.message().find("holds no chunks"), std::string::npos) << gated.message();
  TrainConfig compressing = ToyConfig(config_, "recurrent_compressing");
  compressing.compression_share = 0.5;
  const Status status = Train(compressing, demos, validation, {});
  EXPECT_EQ(status.code(), StatusCode::kBadInput);
  EXPECT_NE(status.message().find("compression_share: a recurrent policy"), std::string::npos)
      << status.message();
}

TEST_F(RecurrentVla, AWarmStartTakesOverAllButTheMemory) {
  VlaNet net(config_);
  const std::string cached = Folder("recurrent_warm");
  torch::manual_seed(9);
  VlaNet other(TinyConfig());
  ASSERT_TRUE(SaveCheckpoint(cached, other, {}).ok());
  ASSERT_TRUE(TakeOverTensors(cached, {}, net).ok());
  const auto theirs = other->named_parameters();
  for (const auto& item : net->named_parameters()) {
    if (item.key().starts_with("memory.")) continue;
    ASSERT_NE(theirs.find(item.key()), nullptr) << item.key();
    EXPECT_TRUE(torch::equal(item.value(), *theirs.find(item.key()))) << item.key();
  }
  Result<Checkpoint> loaded = LoadCheckpoint(folder_);
  ASSERT_TRUE(loaded.ok()) << loaded.status().message();
  EXPECT_NE(loaded->net->named_parameters().find("memory.gru.weight_hh_l0"), nullptr);
}

}  // namespace
}  // namespace kvla

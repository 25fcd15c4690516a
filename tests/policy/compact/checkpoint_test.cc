// SPDX-License-Identifier: Apache-2.0
#include "policy/compact/checkpoint.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "kv_efficient/methods/learned/chunk_gate.h"
#include "policy/compact/checkpoint_hash.h"
#include "policy/compact/vla.h"
#include "tensors/safetensors.h"
#include "tests/policy/loaded_vla.h"
#include "tests/policy/tiny_policy.h"

namespace kvla {
namespace {

namespace fs = std::filesystem;

class CheckpointTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) /
              testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(folder_);
    torch::manual_seed(1);
    net_ = VlaNet(TinyConfig());
    ASSERT_TRUE(SaveCheckpoint(folder_, net_, {{"made", "by a test"}}).ok());
  }

  std::string LoadError() {
    const Result<Checkpoint> loaded = LoadCheckpoint(folder_);
    EXPECT_FALSE(loaded.ok());
    EXPECT_EQ(loaded.status().code(), StatusCode::kBadInput);
    return loaded.status().message();
  }

  fs::path folder_;
  VlaNet net_{nullptr};
};

TEST_F(CheckpointTest, RoundTripKeepsEveryBit) {
  Result<Checkpoint> loaded = LoadCheckpoint(folder_);
  ASSERT_TRUE(loaded.ok()) << loaded.status().message();
  const auto before = net_->named_parameters();
  for (const auto& item : loaded->net->named_parameters()) {
    EXPECT_TRUE(torch::equal(item.value(), before[item.key()])) << item.key();
  }
}

TEST_F(CheckpointTest, NamesAreThoseOfLlama) {
  const auto parameters = net_->named_parameters();
  for (const char* name :
       {"model.embed_tokens.weight", "model.layers.0.self_attn.q_proj.weight",
        "model.layers.1.mlp.gate_proj.weight", "model.layers.1.input_layernorm.weight",
        "model.layers.0.post_attention_layernorm.weight", "model.norm.weight"}) {
    EXPECT_TRUE(parameters.contains(name)) << name;
  }
}

TEST_F(CheckpointTest, MissingTensorIsNamed) {
  Result<TensorFile> file = ReadSafetensors(folder_ / "model.safetensors");
  ASSERT_TRUE(file.ok());
  file->tensors.erase("model.norm.weight");
  ASSERT_TRUE(WriteSafetensors(folder_ / "model.safetensors", *file).ok());
  EXPECT_NE(LoadError().find("model.norm.weight"), std::string::npos);
}

TEST_F(CheckpointTest, UnknownTensorIsNamed) {
  Result<TensorFile> file = ReadSafetensors(folder_ / "model.safetensors");
  ASSERT_TRUE(file.ok());
  file->tensors["stray"] = torch::zeros({2});
  ASSERT_TRUE(WriteSafetensors(folder_ / "model.safetensors", *file).ok());
  EXPECT_NE(LoadError().find("stray"), std::string::npos);
}

TEST_F(CheckpointTest, TruncatedFileIsBadInput) {
  const fs::path weights = folder_ / "model.safetensors";
  fs::resize_file(weights, fs::file_size(weights) / 2);
  EXPECT_NE(LoadError().find("model.safetensors"), std::string::npos);
}

TEST_F(CheckpointTest, MissingFolderIsBadInput) {
  fs::remove_all(folder_);
  EXPECT_NE(LoadError().find("no such file"), std::string::npos);
}

TEST_F(CheckpointTest, WeightsThatAreNoRealsOrNotFiniteAreNamed) {
  const auto with = [this](const at::Tensor& tensor) {
    Result<TensorFile> file = ReadSafetensors(folder_ / "model.safetensors");
    ASSERT_TRUE(file.ok());
    file->tensors["model.norm.weight"] = tensor;
    ASSERT_TRUE(WriteSafetensors(folder_ / "model.safetensors", *file).ok());
  };
  with(torch::ones({32}, torch::kChar));
  EXPECT_NE(LoadError().find("'model.norm.weight' has dtype I8"), std::string::npos);
  VlaNet other(TinyConfig());
  EXPECT_EQ(TakeOverTensors(folder_, {}, other).code(), StatusCode::kBadInput);
  with(torch::full({32}, NAN));
  EXPECT_NE(LoadError().find("'model.norm.weight' has values that are not finite"),
            std::string::npos);
  EXPECT_EQ(TakeOverTensors(folder_, {}, other).code(), StatusCode::kBadInput);
  with(torch::ones({4, 8}));  // as many, in another shape
  const std::string shape = LoadError();
  EXPECT_NE(shape.find("'model.norm.weight' is [4, 8]; config.yaml says [32]"), std::string::npos)
      << shape;
}

TEST_F(CheckpointTest, AGateOfAnotherPolicyIsRefused) {
  const PolicyConfig sizes = TinyConfig();
  const int features = 2 * sizes.num_layers * sizes.num_kv_heads * sizes.head_dim();
  ChunkGate gate(GateShape{features, sizes.chunk_blocks * sizes.tokens_per_block()});
  Vla::Options options;
  options.checkpoint = folder_;
  SessionOptions session;
  session.cache.policy = "gated";
  session.cache.window_blocks = 4;
  session.cache.chunk_blocks = 2;
  session.cache.gate = (folder_ / "gate.safetensors").string();
  const std::string hash = *CheckpointHash(folder_);
  const auto load = [&](const std::map<std::string, std::string>& metadata) {
    EXPECT_TRUE(SaveGate(gate, session.cache.gate, metadata).ok());
    return LoadVla(options, session).status();
  };
  const Status own = load({{kGatePolicyKey, hash}});
  EXPECT_TRUE(own.ok()) << own.message();
  const Status other = load({{kGatePolicyKey, "0123456789abcdef"}});
  EXPECT_EQ(other.code(), StatusCode::kBadInput);
  for (const std::string& part :
       {session.cache.gate, std::string("0123456789abcdef"), folder_.string(), hash}) {
    EXPECT_NE(other.message().find(part), std::string::npos) << other.message();
  }
  const Status unnamed = load({});
  EXPECT_EQ(unnamed.code(), StatusCode::kBadInput);
  EXPECT_NE(unnamed.message().find("does not name"), std::string::npos) << unnamed.message();
}

TEST_F(CheckpointTest, TheGatesThatAreShippedAreOfTheirPolicies) {
  for (const char* name : {"recall_color", "suite"}) {
    const fs::path folder = fs::path(KVLA_ASSET_ROOT) / "policy/weights" / name;
    const Status status = CheckGatePolicy(folder / "gate.safetensors", folder);
    EXPECT_TRUE(status.ok()) << status.message();
  }
}

TEST_F(CheckpointTest, HashFollowsTheWeights) {
  const Result<std::string> before = CheckpointHash(folder_);
  ASSERT_TRUE(before.ok());
  {
    const torch::NoGradGuard no_grad;
    net_->parameters()[0].add_(1.0);
  }
  ASSERT_TRUE(SaveCheckpoint(folder_, net_, {}).ok());
  const Result<std::string> after = CheckpointHash(folder_);
  ASSERT_TRUE(after.ok());
  EXPECT_NE(*before, *after);
}

TEST_F(CheckpointTest, VlaForgetsTheLastEpisode) {
  Vla::Options options;
  options.checkpoint = folder_;
  SessionOptions session;
  session.cache.window_blocks = 4;
  session.cache.chunk_blocks = 2;
  session.max_blocks = 40;
  Result<LoadedVla> vla = LoadVla(options, session);
  ASSERT_TRUE(vla.ok()) << vla.status().message();
  const DemoEpisode episode = TinyEpisode(TinyConfig(), 20, 3, 1);
  const size_t bytes = size_t{3} * 32 * 32;
  const auto run = [&](int blocks) {
    EXPECT_TRUE(vla->BeginEpisode({.instruction = episode.instruction}).ok());
    float last = 0;
    for (int b = 0; b < blocks; ++b) {
      FrameInput input;
      for (const auto& camera : episode.images) {
        input.images.emplace_back(camera.data() + bytes * b, bytes);
      }
      input.proprio = episode.proprio[b];
      const Result<Inference> inference = vla->Infer(input);
      EXPECT_TRUE(inference.ok()) << inference.status().message();
      last = inference->targets[0][0];
    }
    return last;
  };
  const float fresh = run(9);
  run(20);
  EXPECT_EQ(fresh, run(9));
}

TEST_F(CheckpointTest, WrongImageSizeIsBadInput) {
  Vla::Options options;
  options.checkpoint = folder_;
  Result<LoadedVla> vla = LoadVla(options, {});
  ASSERT_TRUE(vla.ok()) << vla.status().message();
  ASSERT_TRUE(vla->BeginEpisode({.instruction = "press the button"}).ok());
  const std::vector<uint8_t> small(12);
  FrameInput input;
  input.images = {small, small};
  EXPECT_EQ(vla->Infer(input).status().code(), StatusCode::kBadInput);
}

}  // namespace
}  // namespace kvla

// SPDX-License-Identifier: Apache-2.0
#include "policy/compact/gate/write_gate_training.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "kv_efficient/methods/learned/write_gate.h"
#include "policy/compact/checkpoint.h"
#include "policy/compact/vla.h"
#include "tensors/safetensors.h"
#include "tests/policy/loaded_vla.h"
#include "tests/policy/tiny_policy.h"
#include "tests/scratch_dir.h"

namespace kvla {
namespace {

class WriteGateTraining : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    torch::set_num_threads(1);
    policy_ = SavePolicy("policy", 3);
    config_.method = GetParam();
    config_.checkpoint = policy_;
    config_.out = (folder_ / "gate.safetensors").string();
    config_.steps = 6;
    config_.batch = 2;
    config_.sample_blocks = 16;
    config_.validation_episodes = 2;
    config_.validate_every = 3;
    config_.threads = 1;
  }

  std::string SavePolicy(const std::string& name, int seed) {
    torch::manual_seed(seed);
    VlaNet net(TinyConfig());
    const std::string path = (folder_ / name).string();
    EXPECT_TRUE(SaveCheckpoint(path, net, {}, torch::kFloat32).ok());
    return path;
  }

  static std::vector<DemoEpisode> Episodes(int count) {
    std::vector<DemoEpisode> list;
    for (int i = 0; i < count; ++i) list.push_back(TinyEpisode(TinyConfig(), 22 + i, 3, i % 3));
    return list;
  }

  Status Train(std::vector<DemoEpisode> episodes) {
    TinySource demos(std::move(episodes)), validation(Episodes(2));
    return TrainWriteGate(config_, demos, validation, {});
  }

  ScratchDir folder_;
  std::string policy_;
  WriteGateTrainConfig config_;
};
INSTANTIATE_TEST_SUITE_P(Method, WriteGateTraining, testing::Values("wg_kv", "dms"),
                         [](const auto& info) { return info.param; });

TEST_P(WriteGateTraining, WritesAGateThatItsPolicyLoadsAndNoOther) {
  const Status trained = Train(Episodes(4));
  ASSERT_TRUE(trained.ok()) << trained.message();
  SessionOptions session;
  session.cache.policy = GetParam();
  session.cache.window_blocks = 4;
  session.cache.chunk_blocks = 2;
  session.cache.gate = config_.out;
  Vla::Options options;
  options.checkpoint = policy_;
  const auto own = LoadVla(options, session);
  EXPECT_TRUE(own.ok()) << own.status().message();
  options.checkpoint = SavePolicy("other", 4);
  const auto other = LoadVla(options, session);
  EXPECT_EQ(other.status().code(), StatusCode::kBadInput);
  EXPECT_NE(other.status().message().find("kvla train-write-gate"), std::string::npos)
      << other.status().message();
  session.cache.policy = GetParam() == "dms" ? "wg_kv" : "dms";
  options.checkpoint = policy_;
  EXPECT_EQ(LoadVla(options, session).status().code(), StatusCode::kBadInput);

  std::ifstream text(config_.out + ".json");
  const nlohmann::json report = nlohmann::json::parse(text);
  EXPECT_EQ(report["steps"], 6);
  EXPECT_EQ(report["method"], GetParam());
  EXPECT_GT(report["cpu_minutes"]["all"], report["cpu_minutes"]["encoding"]);
  EXPECT_GT(report["validation"]["window_distance"], 0.0);
  std::ifstream curve(config_.out + ".csv");
  std::string line;
  int rows = 0, validated = 0;
  std::getline(curve, line);
  for (; std::getline(curve, line); ++rows) validated += line.ends_with(",") ? 0 : 1;
  EXPECT_EQ(rows, 6);
  EXPECT_EQ(validated, 2);

  // Other settings do not go over it; the same do.
  config_.steps = 5;
  const Status changed = Train(Episodes(4));
  EXPECT_EQ(changed.code(), StatusCode::kBadInput);
  EXPECT_NE(changed.message().find("steps is '6' in that gate, '5' now"), std::string::npos)
      << changed.message();
}

TEST_P(WriteGateTraining, LearnsAndReadsNoLabel) {
  std::vector<DemoEpisode> episodes = Episodes(4);
  ASSERT_TRUE(Train(episodes).ok());
  const auto weights = [&] { return ReadSafetensors(config_.out)->tensors; };
  const auto first = weights();
  for (DemoEpisode& episode : episodes) {
    episode.cue_blocks = {{9, 11}};
    std::ranges::fill(episode.decision, uint8_t{1});
    std::ranges::fill(episode.target_class, 2);
    episode.target_places.assign(3, {0.1F, 0.2F, 0.3F});
    for (auto& waypoint : episode.waypoints) waypoint = {0.9F, 0.9F, 0.9F};
  }
  ASSERT_TRUE(Train(episodes).ok());
  for (const auto& [name, tensor] : weights()) {
    EXPECT_TRUE(torch::equal(tensor, first.at(name))) << name;
  }
  // It does depend on what was seen, and it does move.
  for (auto& camera : episodes[0].images) std::ranges::fill(camera, uint8_t{9});
  ASSERT_TRUE(Train(episodes).ok());
  EXPECT_FALSE(torch::equal(weights().at("out_weight"), first.at("out_weight")));
}

TEST_P(WriteGateTraining, MinutesEndIt) {
  config_.minutes = 1e-9;
  ASSERT_TRUE(Train(Episodes(3)).ok());
  std::ifstream text(config_.out + ".json");
  EXPECT_EQ(nlohmann::json::parse(text)["steps"], 0);
}

}  // namespace
}  // namespace kvla

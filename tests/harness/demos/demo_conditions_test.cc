// SPDX-License-Identifier: Apache-2.0
// Demonstrations under disturbance, and of a suite with options.
#include <gtest/gtest.h>

#include <vector>

#include "tests/harness/demos/demos_fixture.h"

namespace kvla {
namespace {

namespace fs = std::filesystem;

TEST_F(DemosTest, ADisturbedRecordingSaysSoAndItsLabelsAreTheExperts) {
  DemosConfig config = SmallConfig();
  config.sets[0].disturbance = "mild";
  config.noise.share = 0;
  auto recorder = DemoRecorder::Create("pick_place", KVLA_ASSET_ROOT, config.cameras,
                                       config.image_size, config.replan_steps);
  ASSERT_TRUE(recorder.ok());
  const auto record = [&](DisturbanceLevel level) {
    Result<DemoRecording> r =
        (*recorder)->Record(Key(0), config.noise, Phrasing::kCanonical, nullptr, level);
    EXPECT_TRUE(r.ok()) << r.status().message();
    return *std::move(r);
  };
  const DemoRecording calm = record(DisturbanceLevel::kNone);
  const DemoRecording mild = record(DisturbanceLevel::kMild);
  EXPECT_NE(mild.images[0], calm.images[0]);
  // The hand is where it is, whatever the sensors say: both ask for the same first pose.
  EXPECT_NE(std::vector(mild.ee_pos.begin(), mild.ee_pos.begin() + 3),
            std::vector(calm.ee_pos.begin(), calm.ee_pos.begin() + 3));
  EXPECT_EQ(std::vector(mild.targets.begin(), mild.targets.begin() + 7),
            std::vector(calm.targets.begin(), calm.targets.begin() + 7));
  EXPECT_EQ(record(DisturbanceLevel::kNone).images, calm.images) << "the cameras stay moved";

  const fs::path path = Write(config, {mild});
  const Result<Hdf5Node> file = Hdf5Node::OpenFile(path);
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(*file->OpenGroup("data")->Text("disturbance"), "mild");
  const Result<Hdf5Node> demo = file->OpenGroup("data/demo_0");
  EXPECT_EQ(*demo->Text("disturbance"), "mild");
  EXPECT_EQ(*demo->Text("cues"), "early");
  EXPECT_EQ(demo->Reals("onset_s")->front(), mild.scenario.OnsetSeconds());
  EXPECT_EQ(demo->Reals("decision_s")->front(), mild.scenario.decision_s);
  // An undisturbed set of the same episodes is not taken for it.
  EXPECT_TRUE(ShardComplete(config, PlanShards(config, scratch_.path())[0]).ok());
  config.sets[0].disturbance = "none";
  const Status other = ShardComplete(config, PlanShards(config, scratch_.path())[0]).status();
  EXPECT_EQ(other.code(), StatusCode::kBadInput);
  EXPECT_NE(other.message().find("disturbance 'mild', 'none' is wanted"), std::string::npos)
      << other.message();
}

TEST_F(DemosTest, WhatEvaluationIsToMeetFirstIsNotRecorded) {
  DemosConfig config = SmallConfig();
  config.suite.layout = "held_out";
  Status status = GenerateDemos(config, Options()).status();
  EXPECT_EQ(status.code(), StatusCode::kBadInput);
  EXPECT_NE(status.message().find("held_out"), std::string::npos) << status.message();
  config = SmallConfig();
  config.sets[0].delay = "longer";
  status = GenerateDemos(config, Options()).status();
  EXPECT_EQ(status.code(), StatusCode::kBadInput);
  EXPECT_NE(status.message().find("'longer' is for evaluation"), std::string::npos)
      << status.message();
}

}  // namespace
}  // namespace kvla

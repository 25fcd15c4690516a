// SPDX-License-Identifier: Apache-2.0
// A few demonstrations of pick_place, and a folder for their shards.
#ifndef KVLA_TESTS_HARNESS_DEMOS_DEMOS_FIXTURE_H_
#define KVLA_TESTS_HARNESS_DEMOS_DEMOS_FIXTURE_H_

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "harness/demos/demo_recorder.h"
#include "harness/demos/demo_shard.h"
#include "harness/demos/demos.h"
#include "tests/harness/test_worker.h"

namespace kvla {

inline DemosConfig SmallConfig(int episodes = 2) {
  DemosConfig config;
  config.image_size = 32;
  DemoSet set;
  set.task = "pick_place";
  set.delay = "short";
  set.episodes = episodes;
  config.sets = {set};
  return config;
}

inline EpisodeKey Key(uint64_t episode, Split split = Split::kTrain) {
  return {split, 0, "pick_place", "short", episode};
}

inline DemoRecording Record(uint64_t episode, const DemosConfig& config) {
  auto recorder = DemoRecorder::Create("pick_place", KVLA_ASSET_ROOT, config.cameras,
                                       config.image_size, config.replan_steps);
  EXPECT_TRUE(recorder.ok()) << recorder.status().message();
  Result<DemoRecording> recording = (*recorder)->Record(Key(episode), config.noise);
  EXPECT_TRUE(recording.ok()) << recording.status().message();
  EXPECT_TRUE(recording->success);
  return *std::move(recording);
}

class DemosTest : public testing::Test {
 protected:
  // A finished shard of `recordings`.
  std::filesystem::path Write(const DemosConfig& config,
                              const std::vector<DemoRecording>& recordings) {
    const DemoShard shard = PlanShards(config, scratch_.path())[0];
    std::filesystem::create_directories(shard.path.parent_path());
    Result<ShardWriter> writer = ShardWriter::Create(config, shard, KVLA_ASSET_ROOT);
    EXPECT_TRUE(writer.ok()) << writer.status().message();
    for (const DemoRecording& recording : recordings) EXPECT_TRUE(writer->Add(recording).ok());
    EXPECT_FALSE(std::filesystem::exists(shard.path))
        << "its name was there before it was complete";
    EXPECT_TRUE(writer->Finish().ok());
    return shard.path;
  }
  DemosOptions Options(const std::string& mode = "real") {
    DemosOptions options;
    options.out = scratch_.path();
    options.asset_root = KVLA_ASSET_ROOT;
    options.command = TestWorker(mode);
    return options;
  }

  ScratchDir scratch_;
};

}  // namespace kvla

#endif  // KVLA_TESTS_HARNESS_DEMOS_DEMOS_FIXTURE_H_

// SPDX-License-Identifier: Apache-2.0
// Demonstrations: recorded, written as HDF5, read back; interrupted and broken files.
#include "harness/demos/demos.h"

#include <gtest/gtest.h>
#include <hdf5.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/writer_lock.h"
#include "harness/demos/demo_driver.h"
#include "harness/demos/demo_reader.h"
#include "harness/demos/demo_recorder.h"
#include "harness/demos/demo_shard.h"
#include "harness/episode/policy_io.h"
#include "tests/harness/demos/demos_fixture.h"

namespace kvla {
namespace {

namespace fs = std::filesystem;

template <class Row>
std::vector<float> Flat(const std::vector<Row>& rows) {
  std::vector<float> flat;
  for (const Row& row : rows) flat.insert(flat.end(), row.begin(), row.end());
  return flat;
}

TEST_F(DemosTest, WhatIsReadIsWhatWasRecorded) {
  const DemosConfig config = SmallConfig();
  DemoRecording r = Record(0, config);
  r.scenario.decoys = {{.begin = 4, .end = 12}};  // control steps, four a block
  const fs::path shard = Write(config, {r, Record(1, config)});
  Result<std::unique_ptr<DemoReader>> reader = DemoReader::Open(scratch_ / "train");
  ASSERT_TRUE(reader.ok()) << reader.status().message();
  ASSERT_EQ((*reader)->size(), 2);
  const Result<DemoEpisode> read = (*reader)->Read(0);
  ASSERT_TRUE(read.ok()) << read.status().message();
  EXPECT_EQ(read->task, "pick_place");
  EXPECT_EQ(read->delay, "short");
  EXPECT_EQ(read->instruction, r.scenario.instruction);
  EXPECT_EQ(read->episode, 0u);
  EXPECT_EQ(read->steps, r.steps);
  EXPECT_EQ(read->blocks, (r.steps + 3) / 4);
  EXPECT_EQ(read->images, r.images);
  EXPECT_EQ(read->images[0].size(), size_t{32 * 32 * 3} * read->blocks);
  EXPECT_EQ(Flat(read->targets), r.targets);
  EXPECT_EQ(Flat(read->waypoints), r.waypoints);
  EXPECT_EQ(read->target_class, std::vector<int>(r.target_class.begin(), r.target_class.end()));
  EXPECT_EQ(read->decision, r.decision);
  EXPECT_EQ(read->decoy_blocks, (std::vector<std::pair<int, int>>{{1, 3}}));
  ASSERT_EQ(read->proprio.size(), static_cast<size_t>(read->blocks));
  for (size_t b = 0; b < read->proprio.size(); ++b) {
    for (size_t i = 0; i < 3; ++i) {
      EXPECT_FLOAT_EQ(read->proprio[b][i], static_cast<float>(r.ee_pos[b * 4 * 3 + i]));
    }
    EXPECT_FLOAT_EQ(read->proprio[b][6], static_cast<float>(r.gripper_width[b * 4]));
  }
  // What the trainers do not read.
  const Result<Hdf5Node> file = Hdf5Node::OpenFile(shard);
  ASSERT_TRUE(file.ok()) << file.status().message();
  const Result<Hdf5Node> demo = file->OpenGroup("data/demo_0");
  ASSERT_TRUE(demo.ok()) << demo.status().message();
  std::vector<double> states;
  ASSERT_TRUE(
      demo->Read("states", {r.steps, static_cast<int64_t>(r.states.size()) / r.steps}, &states)
          .ok());
  EXPECT_EQ(states, r.states);
  std::vector<float> executed;
  ASSERT_TRUE(demo->Read("executed", {r.steps, 7}, &executed).ok());
  EXPECT_EQ(executed, r.executed);
  // The second one is another episode.
  EXPECT_EQ((*reader)->Read(1)->episode, 1u);
  EXPECT_NE((*reader)->Read(1)->images, r.images);
}

TEST_F(DemosTest, StatesAreThoseThatTheActionsLedThrough) {
  const DemosConfig config = SmallConfig();
  const DemoRecording r = Record(0, config);
  const Result<std::unique_ptr<World>> world = World::Load(r.scene);
  ASSERT_TRUE(world.ok());
  const auto state = [&](int step) {
    return std::span(r.states).subspan(static_cast<size_t>(step * r.state_size), r.state_size);
  };
  for (const int step : {0, r.steps / 2, r.steps - 2}) {
    ASSERT_TRUE((*world)->RestoreState(state(step)).ok());
    const Pose before = (*world)->EndEffector();
    Action clean, executed;
    std::copy_n(r.actions.begin() + step * 7, 7, clean.value.begin());
    std::copy_n(r.executed.begin() + step * 7, 7, executed.value.begin());
    const auto target = AbsoluteTarget(before, clean);
    EXPECT_TRUE(std::equal(target.begin(), target.end(), r.targets.begin() + step * 7)) << step;
    ASSERT_TRUE((*world)->Step(executed).ok());
    const std::vector<double> after = (*world)->SaveState();
    // Apart from what the scene's script latches.
    int different = 0;
    for (size_t i = 0; i < after.size(); ++i) different += after[i] != state(step + 1)[i] ? 1 : 0;
    EXPECT_LE(different, 2) << step;
  }
}

TEST_F(DemosTest, NoiseDisturbsWhatIsDoneAndNotTheLabel) {
  DemosConfig config = SmallConfig();
  config.noise.share = 0;
  const DemoRecording quiet = Record(3, config);
  EXPECT_EQ(quiet.actions, quiet.executed);
  config.noise.share = 1;
  const DemoRecording noisy = Record(3, config);
  EXPECT_NE(noisy.actions, noisy.executed);
  for (int step = 0; step < noisy.steps; ++step) {
    for (int i = 0; i < 7; ++i) {
      const size_t at = static_cast<size_t>(step * 7 + i);
      EXPECT_LE(std::abs(noisy.executed[at]), 1);
      if (i >= 3) {
        EXPECT_EQ(noisy.executed[at], noisy.actions[at]);
      }
    }
  }
  EXPECT_EQ(Record(3, config).executed, noisy.executed);
}

TEST_F(DemosTest, APolicyActsInStretchesAndTheExpertSaysWhatItWouldDo) {
  DemosConfig config = SmallConfig();
  config.noise.share = 0;
  config.driver.checkpoint = MakeCheckpoint(scratch_.path() / "policy");
  config.driver.share = 0.5;
  config.driver.span_blocks = 4;
  const auto driver = [&](int image_size) {
    return DemoDriver::Create(config.driver, KVLA_ASSET_ROOT, config.cameras, image_size,
                              config.replan_steps);
  };
  EXPECT_EQ(driver(64).status().code(), StatusCode::kBadInput);
  Result<std::unique_ptr<DemoDriver>> drives = driver(config.image_size);
  ASSERT_TRUE(drives.ok()) << drives.status().message();
  auto recorder = DemoRecorder::Create("pick_place", KVLA_ASSET_ROOT, config.cameras,
                                       config.image_size, config.replan_steps);
  ASSERT_TRUE(recorder.ok());
  const auto record = [&] {
    return (*recorder)->Record(Key(3), config.noise, Phrasing::kCanonical, drives->get());
  };
  const Result<DemoRecording> r = record();
  ASSERT_TRUE(r.ok()) << r.status().message();
  int driven = 0;
  bool acts = false;
  for (int step = 0; step < r->steps; ++step) {
    const auto row = [&](const std::vector<float>& x) {
      return std::vector<float>(x.begin() + step * 7, x.begin() + step * 7 + 7);
    };
    const bool other = row(r->actions) != row(r->executed);
    driven += other ? 1 : 0;
    // It is one or the other from an inference to the next.
    if (step % config.replan_steps == 0) acts = other;
    EXPECT_EQ(other, acts) << step;
  }
  EXPECT_GT(driven, r->steps / 5);
  EXPECT_LT(driven, r->steps * 4 / 5);
  EXPECT_EQ(record()->executed, r->executed);
}

TEST_F(DemosTest, TheLayoutIsThatOfRobomimic) {
  const DemosConfig config = SmallConfig();
  const DemoRecording r = Record(0, config);
  const fs::path path = Write(config, {r});
  const Result<Hdf5Node> file = Hdf5Node::OpenFile(path);
  ASSERT_TRUE(file.ok());
  const Result<Hdf5Node> data = file->OpenGroup("data");
  ASSERT_TRUE(data.ok());
  EXPECT_EQ(*data->Integer("total"), r.steps);
  const auto env = nlohmann::json::parse(*data->Text("env_args"));
  EXPECT_EQ(env.at("env_name"), "pick_place");
  EXPECT_TRUE(env.contains("type"));
  EXPECT_EQ(env.at("env_kwargs").at("camera_names"), config.cameras);
  EXPECT_EQ(env.at("env_kwargs").at("control_freq"), 20);
  const Result<Hdf5Node> demo = file->OpenGroup("data/demo_0");
  ASSERT_TRUE(demo.ok());
  EXPECT_FALSE(data->Has("demo_1"));
  EXPECT_EQ(*demo->Integer("num_samples"), r.steps);
  EXPECT_EQ(*demo->Text("model_file"), "tasks/pick_place/scene.xml");
  EXPECT_EQ(*demo->Text("split"), "train");
  using Shape = std::vector<int64_t>;
  const int64_t n = r.steps, m = r.inferences;
  const std::vector<std::pair<std::string, Shape>> shapes = {{"actions", {n, 7}},
                                                             {"executed", {n, 7}},
                                                             {"targets", {n, 7}},
                                                             {"states", {n, r.state_size}},
                                                             {"rewards", {n}},
                                                             {"dones", {n}},
                                                             {"obs/ee_pos", {n, 3}},
                                                             {"obs/ee_quat", {n, 4}},
                                                             {"obs/gripper_width", {n}},
                                                             {"obs/joint_pos", {n, 7}},
                                                             {"obs/front_image", {m, 32, 32, 3}},
                                                             {"obs/wrist_image", {m, 32, 32, 3}},
                                                             {"labels/waypoint", {n, 3}},
                                                             {"labels/target_class", {n}},
                                                             {"labels/decision", {n}}};
  for (const auto& [name, shape] : shapes) {
    const Result<Shape> read = demo->Shape(name);
    ASSERT_TRUE(read.ok()) << read.status().message();
    EXPECT_EQ(*read, shape) << name;
  }
  std::vector<uint8_t> dones;
  ASSERT_TRUE(demo->Read("dones", {n}, &dones).ok());
  EXPECT_EQ(dones.back(), 1);
  EXPECT_EQ(std::count(dones.begin(), dones.end(), 1), 1);
}

TEST_F(DemosTest, TheEvaluationSplitIsRefused) {
  auto recorder = DemoRecorder::Create("pick_place", KVLA_ASSET_ROOT, {"front"}, 32, 4);
  ASSERT_TRUE(recorder.ok());
  const Result<DemoRecording> refused = (*recorder)->Record(Key(0, Split::kEvaluation), {});
  EXPECT_EQ(refused.status().code(), StatusCode::kBadInput);
  EXPECT_NE(refused.status().message().find("evaluation split"), std::string::npos);
}

TEST_F(DemosTest, FailedRecordingsAreCountedAndLeftOut) {
  const DemosConfig config = SmallConfig();
  DemoRecording failed = Record(0, config);
  failed.success = false;
  DemoRecording diverged = failed;
  diverged.diverged = true;
  const fs::path path = Write(config, {failed, diverged, Record(1, config)});
  const Result<Hdf5Node> file = Hdf5Node::OpenFile(path);
  const Result<Hdf5Node> data = file->OpenGroup("data");
  EXPECT_EQ(*data->Integer("num_demos"), 1);
  EXPECT_EQ(*data->Integer("failed"), 1);
  EXPECT_EQ(*data->Integer("diverged"), 1);
  const auto reader = DemoReader::Open(scratch_ / "train");
  ASSERT_TRUE(reader.ok());
  EXPECT_EQ((*reader)->size(), 1);
  EXPECT_EQ((*reader)->Read(0)->episode, 1u);
}

TEST_F(DemosTest, AMistakeOfThePolicyAtTheWheelIsKeptWhereItIsWanted) {
  DemosConfig config = SmallConfig();
  DemoRecording failed = Record(0, config);
  failed.success = false;
  config.driver.keep_failed = true;
  EXPECT_FALSE(IsKept(failed, config)) << "no policy was at the wheel";
  config.driver.checkpoint = "policy";
  EXPECT_TRUE(IsKept(failed, config));
  const Result<Hdf5Node> file = Hdf5Node::OpenFile(Write(config, {failed}));
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(*file->OpenGroup("data")->Integer("num_demos"), 1);
  std::vector<float> rewards;
  ASSERT_TRUE(file->OpenGroup("data/demo_0")->Read("rewards", {failed.steps}, &rewards).ok());
  EXPECT_EQ(rewards.back(), 0);
  failed.diverged = true;
  EXPECT_FALSE(IsKept(failed, config));
  failed.diverged = false;
  config.driver.keep_failed = false;
  EXPECT_FALSE(IsKept(failed, config));
}

TEST_F(DemosTest, ATruncatedShardIsNamed) {
  const DemosConfig config = SmallConfig();
  const fs::path path = Write(config, {Record(0, config)});
  const DemoShard shard = PlanShards(config, scratch_.path())[0];
  ASSERT_TRUE(*ShardComplete(config, shard));
  const auto size = fs::file_size(path);
  for (const auto left : {size - 1, size / 2, decltype(size){20}, decltype(size){0}}) {
    fs::resize_file(path, left);
    for (const Status& status :
         {DemoReader::Open(scratch_ / "train").status(), ShardComplete(config, shard).status(),
          GenerateDemos(config, Options()).status()}) {
      EXPECT_EQ(status.code(), StatusCode::kBadInput) << left;
      EXPECT_NE(status.message().find(path.string()), std::string::npos) << status.message();
    }
  }
}

TEST_F(DemosTest, MissingDatasetsAreBadInput) {
  const DemosConfig config = SmallConfig();
  const DemoRecording r = Record(0, config);
  const fs::path path = Write(config, {r});
  const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
  ASSERT_GE(file, 0);
  ASSERT_GE(H5Ldelete(file, "data/demo_0/targets", H5P_DEFAULT), 0);
  H5Fclose(file);
  // Also where it is only counted.
  for (const Status& status :
       {DemoReader::Open(scratch_ / "train").status(),
        ShardComplete(config, PlanShards(config, scratch_.path())[0]).status()}) {
    EXPECT_EQ(status.code(), StatusCode::kBadInput);
    EXPECT_NE(status.message().find("targets"), std::string::npos) << status.message();
  }
}

TEST_F(DemosTest, NoDemonstrations) {
  EXPECT_EQ(DemoReader::Open(scratch_ / "nothing").status().code(), StatusCode::kBadInput);
  EXPECT_EQ(DemoReader::Open(scratch_.path()).status().code(), StatusCode::kBadInput);
  const DemosConfig config = SmallConfig();
  Write(config, {Record(0, config)});
  DemoFilter filter;
  filter.tasks = {"recall_color"};
  EXPECT_EQ(DemoReader::Open(scratch_ / "train", filter).status().code(), StatusCode::kBadInput);
  filter.tasks = {"pick_place"};
  EXPECT_TRUE(DemoReader::Open(scratch_ / "train", filter).ok());
}

TEST_F(DemosTest, WithoutTheirNumberEveryPlaceIsAChoice) {
  const DemosConfig config = SmallConfig();
  DemoRecording r = Record(0, config);
  r.scenario.target_places = {{0.5, 0.1, 0}, {0.6, 0.1, 0}};
  r.choices = 1;
  const auto read = [&](auto change) {
    fs::remove_all(scratch_ / "train");
    const fs::path path = Write(config, {r});
    const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
    change(file);
    H5Fclose(file);
    return (*DemoReader::Open(scratch_ / "train"))->Read(0);
  };
  EXPECT_EQ(read([](hid_t) {})->choices, 1);
  const auto remove = [](hid_t file) {
    ASSERT_GE(H5Adelete_by_name(file, "data/demo_0", "choices", H5P_DEFAULT), 0);
  };
  EXPECT_EQ(read(remove)->choices, 2);
  r.choices = -1;
  EXPECT_EQ(read([](hid_t) {}).status().code(), StatusCode::kBadInput);
}

TEST_F(DemosTest, AStoppedRunGoesOnWithTheShardsThatAreMissing) {
  DemosConfig config = SmallConfig(3);
  config.episodes_per_shard = 1;
  const std::vector<DemoShard> shards = PlanShards(config, scratch_.path());
  ASSERT_EQ(shards.size(), 3u);
  DemosOptions options = Options();
  options.dry_run = true;
  const Result<DemosSummary> dry = GenerateDemos(config, options);
  ASSERT_TRUE(dry.ok()) << dry.status().message();
  EXPECT_GT(dry->bytes_per_episode, 1000);
  EXPECT_TRUE(fs::is_empty(scratch_.path()));

  options.dry_run = false;
  const Result<DemosSummary> whole = GenerateDemos(config, options);
  ASSERT_TRUE(whole.ok()) << whole.status().message();
  EXPECT_EQ(whole->episodes + whole->failed + whole->diverged, 3);
  // Closed again: the library locks what it reads.
  int size = 0;
  const auto read_last = [&] {
    const auto reader = DemoReader::Open(scratch_ / "train");
    EXPECT_TRUE(reader.ok()) << reader.status().message();
    size = (*reader)->size();
    return (*reader)->Read(size - 1);
  };
  const Result<DemoEpisode> last = read_last();
  ASSERT_TRUE(last.ok());
  ASSERT_EQ(size, 3);

  // As if it had been killed within the last shard: half of it under its other name.
  fs::path temporary = shards[2].path;
  temporary += ".tmp";
  fs::rename(shards[2].path, temporary);
  fs::resize_file(temporary, fs::file_size(temporary) / 2);
  const auto kept = fs::last_write_time(shards[0].path);
  EXPECT_EQ(read_last()->episode, 1u);
  EXPECT_EQ(size, 2);
  EXPECT_FALSE(*ShardComplete(config, shards[2]));

  options.workers = 2;
  const Result<DemosSummary> resumed = GenerateDemos(config, options);
  ASSERT_TRUE(resumed.ok()) << resumed.status().message();
  EXPECT_EQ(resumed->skipped_shards, 2);
  EXPECT_EQ(resumed->episodes, 1);
  EXPECT_EQ(fs::last_write_time(shards[0].path), kept);
  EXPECT_FALSE(fs::exists(temporary));
  const Result<DemoEpisode> again = read_last();
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->images, last->images);
  EXPECT_EQ(again->targets, last->targets);

  // Other settings into the same folder are refused, and nothing is lost.
  config.image_size = 48;
  const Status refused = GenerateDemos(config, options).status();
  EXPECT_EQ(refused.code(), StatusCode::kBadInput);
  EXPECT_NE(refused.message().find("' in the file, '48' now"), std::string::npos)
      << refused.message();
  EXPECT_EQ(fs::last_write_time(shards[0].path), kept);
}

TEST_F(DemosTest, AnEpisodeIsRecordedOnce) {
  DemosConfig config = SmallConfig(4);
  config.episodes_per_shard = 4;
  const fs::path path = Write(config, {Record(0, config), Record(2, config)});
  EXPECT_TRUE(CheckOverlaps(PlanShards(config, scratch_.path())).ok());
  // The same set, but in files of two.
  config.episodes_per_shard = 2;
  const Status status = GenerateDemos(config, Options()).status();
  EXPECT_EQ(status.code(), StatusCode::kBadInput);
  for (const std::string& part :
       {path.string(), std::string("episodes 0 to 3"), std::string("pick_place_short_00002.hdf5"),
        std::string("2 to 3"), std::string("episodes_per_shard")}) {
    EXPECT_NE(status.message().find(part), std::string::npos) << status.message();
  }
  // Behind it there is room; from within it on there is none.
  config.sets[0].first = 4;
  EXPECT_TRUE(CheckOverlaps(PlanShards(config, scratch_.path())).ok());
  config.sets[0].first = 3;
  EXPECT_FALSE(CheckOverlaps(PlanShards(config, scratch_.path())).ok());
  // Another set's files do not matter.
  config.sets[0].delay = "long";
  EXPECT_TRUE(CheckOverlaps(PlanShards(config, scratch_.path())).ok());
}

TEST_F(DemosTest, AShardEndsBeforeTheNextOneBegins) {
  DemosConfig config = SmallConfig(4);
  config.episodes_per_shard = 4;
  config.sets[0].first = 4;
  Write(config, {Record(4, config)});
  config.sets[0].first = 0;
  EXPECT_TRUE(CheckOverlaps(PlanShards(config, scratch_.path())).ok());
  config.sets[0].first = 1;
  EXPECT_FALSE(CheckOverlaps(PlanShards(config, scratch_.path())).ok());
}

TEST_F(DemosTest, ASetThatIsListedTwiceIsRefused) {
  DemosConfig config = SmallConfig(4);
  config.sets.push_back(config.sets[0]);
  config.sets[1].first = 3;
  const Status status = GenerateDemos(config, Options()).status();
  EXPECT_EQ(status.code(), StatusCode::kBadInput);
  EXPECT_NE(status.message().find("sets[0] and sets[1]"), std::string::npos) << status.message();
  config.sets[1].first = 4;
  DemosOptions dry = Options();
  dry.dry_run = true;
  const Status apart = GenerateDemos(config, dry).status();
  EXPECT_TRUE(apart.ok()) << apart.message();
}

TEST_F(DemosTest, WhatAnotherProcessIsWritingIsLeftAlone) {
  DemosOptions options = Options("die");
  const std::vector<DemoShard> shards = PlanShards(SmallConfig(), options.out);
  fs::path temporary = shards[0].path;
  temporary += ".tmp";
  fs::create_directories(temporary.parent_path());
  std::ofstream(temporary) << "half a shard";
  {
    const Result<WriterLock> other = WriterLock::OfFolder(options.out);
    ASSERT_TRUE(other.ok());
    const Status status = GenerateDemos(SmallConfig(), options).status();
    EXPECT_EQ(status.code(), StatusCode::kBadInput);
    EXPECT_NE(status.message().find("another kvla process is writing to"), std::string::npos)
        << status.message();
    EXPECT_TRUE(fs::exists(temporary));
    // To look is allowed.
    options = Options("real");
    options.dry_run = true;
    EXPECT_TRUE(GenerateDemos(SmallConfig(), options).ok());
  }
}

TEST_F(DemosTest, ADyingWorkerLeavesNoHalfShard) {
  DemosOptions options = Options("die");
  const Result<DemosSummary> summary = GenerateDemos(SmallConfig(), options);
  EXPECT_EQ(summary.status().code(), StatusCode::kInternal);
  EXPECT_NE(summary.status().message().find("signal 9"), std::string::npos)
      << summary.status().message();
  EXPECT_TRUE(fs::is_empty(scratch_.path()));
}

}  // namespace
}  // namespace kvla

// SPDX-License-Identifier: Apache-2.0
// Demonstrations that are not what the file, or the policy, says: refused, with file, found and
// wanted. The shards are made by hand; demos_test.cc has recorded ones.
#include "harness/demos/demo_reader.h"

#include <gtest/gtest.h>
#include <hdf5.h>

#include <cmath>
#include <functional>
#include <limits>

#include "harness/demos/demo_shard.h"
#include "tests/scratch_dir.h"

namespace kvla {
namespace {

constexpr int kSteps = 6, kStride = 2, kBlocks = 3, kSide = 8;

constexpr char kEnvArgs[] =
    R"({"env_name": "t", "env_kwargs": {"camera_names": ["front"], "camera_heights": 8, "camera_widths": 8}})";

// One demonstration; what it holds may be changed before it is written.
struct Demo {
  int64_t episode = 0;
  int stride = kStride;
  std::vector<float> targets = std::vector<float>(kSteps * 7, 0.5F);
  std::vector<float> actions = targets;
  std::vector<int32_t> target_class = std::vector<int32_t>(kSteps, -1);
  std::vector<double> ee_pos = std::vector<double>(kSteps * 3, 0.25);
  std::vector<double> begins = {0.0}, ends = {0.1}, places = {0.1, 0.2, 0.3};
  std::vector<double> decoy_begins = {}, decoy_ends = {};  // without begins: an older shard
};

void Set(Hdf5Node& node, const std::string& name, const auto& values, std::vector<int64_t> shape) {
  const Status s = node.Write(name, std::span(values), shape);
  ASSERT_TRUE(s.ok()) << s.message();
}

class DemoReaderTest : public testing::Test {
 protected:
  std::filesystem::path Write(const std::vector<Demo>& demos, const std::string& name = "a.hdf5",
                              const std::string& env_args = kEnvArgs,
                              const std::string& suite = "") {
    const std::filesystem::path path = scratch_ / name;
    Result<Hdf5Node> file = Hdf5Node::CreateFile(path);
    Result<Hdf5Node> data = file->CreateGroup("data");
    EXPECT_TRUE(data->SetInteger("num_demos", static_cast<int64_t>(demos.size())).ok());
    EXPECT_TRUE(data->SetText("env_args", env_args).ok());
    EXPECT_TRUE(data->SetText("settings_hash", "0123").ok());
    if (!suite.empty()) {
      EXPECT_TRUE(data->SetText("suite", suite).ok());
    }
    for (size_t d = 0; d < demos.size(); ++d) {
      Result<Hdf5Node> group = data->CreateGroup("demo_" + std::to_string(d));
      const Demo& demo = demos[d];
      const std::vector<float> threes(kSteps * 3, 0.5F);
      const std::vector<double> turn(kSteps * 4, 0.5), width(kSteps, 0.04);
      const std::vector<uint8_t> images(size_t{kBlocks} * kSide * kSide * 3, 9), none(kSteps, 0);
      for (const auto& [attribute, text] :
           {std::pair{"task", "t"}, {"delay", "short"}, {"instruction", "do it"}}) {
        EXPECT_TRUE(group->SetText(attribute, text).ok());
      }
      for (const auto& [attribute, value] : {std::pair<const char*, int64_t>{"num_samples", kSteps},
                                             {"num_inferences", kBlocks},
                                             {"image_stride", demo.stride},
                                             {"episode", demo.episode},
                                             {"choices", 1}}) {
        EXPECT_TRUE(group->SetInteger(attribute, value).ok());
      }
      EXPECT_TRUE(group->SetReals("cue_begin_s", demo.begins).ok());
      EXPECT_TRUE(group->SetReals("cue_end_s", demo.ends).ok());
      if (!demo.decoy_begins.empty()) {
        EXPECT_TRUE(group->SetReals("decoy_begin_s", demo.decoy_begins).ok());
        EXPECT_TRUE(group->SetReals("decoy_end_s", demo.decoy_ends).ok());
      }
      EXPECT_TRUE(group->SetReals("target_places", demo.places).ok());
      Set(*group, "actions", demo.actions, {kSteps, 7});
      Set(*group, "executed", demo.actions, {kSteps, 7});
      Set(*group, "targets", demo.targets, {kSteps, 7});
      Set(*group, "obs/ee_pos", demo.ee_pos, {kSteps, 3});
      Set(*group, "obs/ee_quat", turn, {kSteps, 4});
      Set(*group, "obs/gripper_width", width, {kSteps});
      Set(*group, "labels/waypoint", threes, {kSteps, 3});
      Set(*group, "labels/target_class", demo.target_class, {kSteps});
      Set(*group, "labels/decision", none, {kSteps});
      Set(*group, "obs/front_image", images, {kBlocks, kSide, kSide, 3});
    }
    return path;
  }
  // Puts another dataset in its place.
  template <class T>
  void Replace(const std::string& dataset, const std::vector<int64_t>& shape) {
    const std::filesystem::path path = Write({Demo()});
    const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
    const std::string name = "data/demo_0/" + dataset;
    ASSERT_GE(H5Ldelete(file, name.c_str(), H5P_DEFAULT), 0);
    std::vector<hsize_t> extent(shape.begin(), shape.end());
    size_t size = 1;
    for (const int64_t n : shape) size *= static_cast<size_t>(n);
    const hid_t type = std::is_same_v<T, uint8_t> ? H5T_NATIVE_UINT8 : H5T_NATIVE_FLOAT;
    const hid_t space = H5Screate_simple(static_cast<int>(extent.size()), extent.data(), nullptr);
    const hid_t set =
        H5Dcreate2(file, name.c_str(), type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    const std::vector<T> values(size);
    ASSERT_GE(H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()), 0);
    H5Dclose(set);
    H5Sclose(space);
    H5Fclose(file);
  }
  Status OpenStatus(const DemoFilter& filter = {}) {
    return DemoReader::Open(scratch_.path(), filter).status();
  }
  Status ReadStatus() {
    const auto reader = DemoReader::Open(scratch_.path());
    EXPECT_TRUE(reader.ok()) << reader.status().message();
    return reader.ok() ? (*reader)->Read(0).status() : reader.status();
  }

  ScratchDir scratch_;
};

void ExpectSays(const Status& status, const std::vector<std::string>& parts) {
  EXPECT_EQ(status.code(), StatusCode::kBadInput);
  for (const std::string& part : parts) {
    EXPECT_NE(status.message().find(part), std::string::npos) << status.message();
  }
}

TEST_F(DemoReaderTest, AShardThatIsWhatItSaysIsRead) {
  Write({Demo()});
  const Status status = ReadStatus();
  EXPECT_TRUE(status.ok()) << status.message();
  const auto reader = DemoReader::Open(
      scratch_.path(), {.cameras = {"front"}, .image_size = kSide, .replan_steps = kStride});
  ASSERT_TRUE(reader.ok()) << reader.status().message();
  const Result<DemoEpisode> read = (*reader)->Read(0);
  EXPECT_EQ(read->images[0].size(), size_t{kBlocks * kSide * kSide * 3});
  EXPECT_NE(read->where.find("a.hdf5/data/demo_0"), std::string::npos) << read->where;
}

TEST_F(DemoReaderTest, OtherSizesThanThePolicysAreRefused) {
  const std::string file = Write({Demo()}).string();
  ExpectSays(OpenStatus({.image_size = 64}), {file, "8x8", "image_size is 64"});
  ExpectSays(OpenStatus({.replan_steps = 4}),
             {file, "demo_0", "every 2 control steps", "replan_steps is 4"});
  ExpectSays(OpenStatus({.cameras = {"front", "wrist"}}), {file, "camera 'wrist'", "it has front"});
}

TEST_F(DemoReaderTest, ImagesOfAnotherShapeOrTypeAreRefused) {
  const std::vector<std::string> wanted = {"a.hdf5/data/demo_0", "obs/front_image"};
  Replace<uint8_t>("obs/front_image", {0, kSide, kSide, 3});
  ExpectSays(OpenStatus(), {wanted[0], wanted[1], "is [0, 8, 8, 3], [3, 8, 8, 3] is wanted"});
  Replace<uint8_t>("obs/front_image", {2, kSide, kSide, 3});
  ExpectSays(OpenStatus(), wanted);
  Replace<uint8_t>("obs/front_image", {kBlocks, 3, kSide, kSide});
  ExpectSays(OpenStatus(), wanted);
  Replace<float>("obs/front_image", {kBlocks, kSide, kSide, 3});
  ExpectSays(OpenStatus(), {wanted[0], wanted[1], "holds float32, uint8 is wanted"});
  Replace<float>("targets", {kSteps, 8});
  ExpectSays(OpenStatus(), {"'targets' is [6, 8], [6, 7] is wanted"});
  Replace<float>("actions", {kSteps * 7});
  ExpectSays(OpenStatus(), {"'actions' is [42], [6, 7] is wanted"});
}

TEST_F(DemoReaderTest, NumbersThatAreNotFiniteNameFileAndEpisode) {
  for (const double value : {std::nan(""), HUGE_VAL, 1e300}) {
    Demo demo;
    demo.episode = 41;
    demo.targets[2 * 7 + 3] = static_cast<float>(value);
    Write({demo});
    ExpectSays(ReadStatus(), {"a.hdf5/data/demo_0 (episode 41)", "'targets'", "row 2"});
    demo = Demo();
    demo.ee_pos[5 * 3] = value;
    Write({demo});
    ExpectSays(ReadStatus(), {"a.hdf5", "'obs/ee_pos'", "row 5"});
  }
  Demo demo;
  demo.actions[0] = std::nanf("");
  Write({demo});
  ExpectSays(ReadStatus(), {"a.hdf5", "'actions'", "nan"});
  demo = Demo();
  demo.places[1] = HUGE_VAL;
  Write({demo});
  ExpectSays(ReadStatus(), {"a.hdf5", "'target_places'"});
  demo.places[1] = std::nan("");  // a class that has no place
  Write({demo});
  EXPECT_TRUE(ReadStatus().ok());
}

TEST_F(DemoReaderTest, CuesAndClassesOutOfRangeAreRefused) {
  for (const auto& [begin, end] :
       {std::pair{-1.0, 1.0}, {1.0, 0.5}, {0.0, 1e300}, {std::nan(""), 1.0}, {0.0, std::nan("")}}) {
    Demo demo;
    demo.begins = {begin};
    demo.ends = {end};
    Write({demo});
    ExpectSays(ReadStatus(), {"'cue_begin_s' and 'cue_end_s'"});
  }
  Demo demo;
  demo.ends = {0.1, 0.2};
  Write({demo});
  ExpectSays(ReadStatus(), {"'cue_begin_s' and 'cue_end_s'"});
  demo = Demo();
  demo.decoy_begins = {0.3};
  Write({demo});
  ExpectSays(ReadStatus(), {"'decoy_begin_s' and 'decoy_end_s'"});
  demo = Demo();
  demo.target_class[1] = -2;
  Write({demo});
  ExpectSays(ReadStatus(), {"target_class"});
}

TEST_F(DemoReaderTest, ThatTheAttributesOfASetAreOfAnotherKindIsSaid) {
  const std::pair<const char*, const char*> bad[] = {
      {R"({"env_name": 3, "env_kwargs": {"camera_names": ["front"]}})", "no text 'env_name'"},
      {"[1]", "no JSON object"},
      {R"({"env_name": "t", "env_kwargs": []})", "no object 'env_kwargs'"},
      {R"({"env_name": "t", "env_kwargs": {"camera_names": "front"}})", "names no cameras"},
      {R"({"env_name": "t", "env_kwargs": {"camera_names": ["front", 1]}})", "is no text"},
      {R"({"env_name": "t", "env_kwargs": {"camera_names": ["front"], "camera_heights": -8,
           "camera_widths": 8}})",
       "how large"},
  };
  for (const auto& [env_args, what] : bad) {
    Write({Demo()}, "a.hdf5", env_args);
    ExpectSays(OpenStatus(), {"a.hdf5", "'env_args'", what});
  }
}

TEST_F(DemoReaderTest, AnEpisodeThatIsThereTwiceIsRefused) {
  Demo one, two;
  two.episode = 1;
  Write({one, two});
  EXPECT_TRUE(OpenStatus().ok());
  Write({two}, "b.hdf5");
  ExpectSays(OpenStatus(), {"b.hdf5/data/demo_0", "episode 1 of t short", "a.hdf5/data/demo_1"});
}

TEST_F(DemoReaderTest, AMixtureOfSuitesIsRefused) {
  Demo two, three;
  two.episode = 1;
  three.episode = 2;
  Write({Demo()}, "a.hdf5", kEnvArgs, "decoys: true");
  Write({two}, "b.hdf5", kEnvArgs, "decoys: true\nlayout: seen");
  EXPECT_TRUE(OpenStatus().ok());
  Write({three}, "c.hdf5");  // from before there were any
  ExpectSays(OpenStatus(), {"c.hdf5", "another suite than", "a.hdf5", "decoys is "});
  Write({three}, "c.hdf5", kEnvArgs, "decoy: true");
  ExpectSays(OpenStatus(), {"c.hdf5", "unknown key 'decoy'"});
}

// A block is two control steps of 0.05 s.
TEST_F(DemoReaderTest, DecoysAreReadInBlocks) {
  Demo demo;
  demo.decoy_begins = {0.1, 5};
  demo.decoy_ends = {0.2, 6};  // the second one after the episode's end
  Write({demo});
  const Result<DemoEpisode> read = (*DemoReader::Open(scratch_.path()))->Read(0);
  ASSERT_TRUE(read.ok()) << read.status().message();
  EXPECT_EQ(read->decoy_blocks, (std::vector<std::pair<int, int>>{{1, 2}}));
}

TEST_F(DemoReaderTest, WhenWhatIsRememberedIsAskedForIsReadInControlSteps) {
  const std::filesystem::path path = Write({Demo()});
  const auto read = [&] { return (*DemoReader::Open(scratch_.path()))->Read(0)->use_begins; };
  EXPECT_EQ(read(), -1);
  const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
  const hid_t space = H5Screate(H5S_SCALAR);
  const hid_t seconds = H5Acreate_by_name(file, "data/demo_0", "decision_s", H5T_NATIVE_DOUBLE,
                                          space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  const double value = 0.15;
  ASSERT_GE(H5Awrite(seconds, H5T_NATIVE_DOUBLE, &value), 0);
  H5Aclose(seconds);
  H5Sclose(space);
  H5Fclose(file);
  EXPECT_EQ(read(), 3);
}

TEST_F(DemoReaderTest, AStrideThatContradictsTheStepsIsRefused) {
  Demo demo;
  demo.stride = 4;
  Write({demo});
  ExpectSays(OpenStatus(), {"a.hdf5", "3 inferences for 6 steps, one every 4"});
}

}  // namespace
}  // namespace kvla

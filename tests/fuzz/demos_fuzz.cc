// SPDX-License-Identifier: Apache-2.0
// HDF5 demonstrations. An input that starts with 'F' is a file as it is, mutated freely (what the
// HDF5 library does with that is its own). Any other one is a list of choices from which a valid
// file is made, whose attributes and datasets have unexpected shapes, types and values: what our
// reader has to withstand.
#include <hdf5.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "harness/demos/demo_reader.h"
#include "policy/compact/policy_config.h"
#include "tests/fuzz/scratch_file.h"

namespace kvla {
namespace {

// Takes choices off the front of the input; 0 when it is used up.
class Choices {
 public:
  Choices(const uint8_t* data, size_t size) : data_(data), size_(size) {}
  uint8_t Byte() { return at_ < size_ ? data_[at_++] : 0; }
  bool Rarely() { return Byte() > 240; }
  // Mostly `usual`, else something odd.
  int64_t Number(int64_t usual) {
    static constexpr std::array<int64_t, 8> kOdd = {0, -1, 1, 1 << 20, INT64_MAX, INT64_MIN, 7, -9};
    return Rarely() ? kOdd[Byte() % kOdd.size()] : usual;
  }

 private:
  const uint8_t* data_;
  size_t size_, at_ = 0;
};

// One value, or now and then a list of some, or none.
hid_t Space(Choices* choices, hsize_t usual, hsize_t* count) {
  *count = choices->Rarely() ? choices->Byte() * hsize_t{16} : usual;
  if (*count == 1 && !choices->Rarely()) return H5Screate(H5S_SCALAR);
  return *count == 0 ? H5Screate(H5S_NULL) : H5Screate_simple(1, count, nullptr);
}

void WriteInteger(hid_t at, const char* name, int64_t value, Choices* choices) {
  if (choices->Rarely()) return;
  hsize_t count = 1;
  const hid_t space = Space(choices, 1, &count);
  static const std::array<hid_t, 4> types = {H5T_STD_I64LE, H5T_STD_U8LE, H5T_IEEE_F64LE,
                                             H5T_STD_U64BE};
  const hid_t type = types[choices->Rarely() ? choices->Byte() % types.size() : 0];
  const hid_t attribute = H5Acreate2(at, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
  const std::vector<int64_t> values(count, value);
  if (count > 0) H5Awrite(attribute, H5T_NATIVE_INT64, values.data());
  H5Aclose(attribute);
  H5Sclose(space);
}

// Of variable or of fixed length.
void WriteText(hid_t at, const char* name, const std::string& text, Choices* choices) {
  hsize_t count = 1;
  const hid_t space = Space(choices, 1, &count), type = H5Tcopy(H5T_C_S1);
  const bool fixed = choices->Byte() % 2 == 0;
  // Shorter than the text, now and then.
  const size_t size = choices->Rarely() ? 1 + choices->Byte() % 4 : text.size() + 1;
  H5Tset_size(type, fixed ? size : H5T_VARIABLE);
  if (fixed && choices->Rarely()) H5Tset_strpad(type, H5T_STR_SPACEPAD);
  const hid_t attribute = H5Acreate2(at, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
  std::string cells;
  for (hsize_t i = 0; i < count; ++i) cells += (text + std::string(size, '\0')).substr(0, size);
  const std::vector<const char*> pointers(count, text.c_str());
  // Unwritten text of variable length is a null pointer.
  if (count > 0 && !choices->Rarely()) {
    if (fixed) {
      H5Awrite(attribute, type, cells.data());
    } else {
      H5Awrite(attribute, type, pointers.data());
    }
  }
  H5Aclose(attribute);
  H5Tclose(type);
  H5Sclose(space);
}

void WriteReals(hid_t at, const char* name, const std::vector<double>& values, Choices* choices) {
  const bool text = choices->Rarely();
  if (text) return WriteText(at, name, "1", choices);
  const hsize_t size = values.size();
  const hid_t space = size > 0 ? H5Screate_simple(1, &size, nullptr) : H5Screate(H5S_NULL);
  const hid_t attribute = H5Acreate2(at, name, H5T_IEEE_F64LE, space, H5P_DEFAULT, H5P_DEFAULT);
  if (size > 0) H5Awrite(attribute, H5T_NATIVE_DOUBLE, values.data());
  H5Aclose(attribute);
  H5Sclose(space);
}

// A dataset of this shape and type, now and then of another size, rank or type, packed, without
// values, or not there.
void WriteData(hid_t at, const std::string& name, std::vector<hsize_t> shape, hid_t type,
               Choices* choices) {
  if (choices->Rarely()) return;
  if (choices->Rarely()) shape[choices->Byte() % shape.size()] = choices->Byte() % 40;
  if (choices->Rarely()) shape.resize(1 + choices->Byte() % 5, 1);
  static const std::array<hid_t, 5> types = {H5T_IEEE_F32LE, H5T_IEEE_F64LE, H5T_STD_U8LE,
                                             H5T_STD_I64LE, H5T_C_S1};
  if (choices->Rarely()) type = types[choices->Byte() % types.size()];
  hsize_t size = 1;
  for (const hsize_t n : shape) size *= n;
  const hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
  if (size > 0 && choices->Rarely()) {
    H5Pset_chunk(creation, static_cast<int>(shape.size()), shape.data());
    if (choices->Rarely()) H5Pset_deflate(creation, 1);
  }
  const bool huge = choices->Rarely();
  if (huge) shape[0] = hsize_t{1} << (30 + choices->Byte() % 20);
  const hid_t space = H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr);
  const hid_t data = H5Dcreate2(at, name.c_str(), type, space, H5P_DEFAULT, creation, H5P_DEFAULT);
  std::vector<float> values(static_cast<size_t>(size));
  for (float& value : values) value = static_cast<float>(choices->Byte()) / 16;
  if (size > 0 && choices->Rarely()) values[0] = NAN;
  if (data >= 0 && size > 0 && !huge && type != H5T_C_S1 && !choices->Rarely()) {
    H5Dwrite(data, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data());
  }
  if (data >= 0) H5Dclose(data);
  H5Sclose(space);
  H5Pclose(creation);
}

void MakeFile(const std::filesystem::path& path, Choices choices_in) {
  Choices* choices = &choices_in;
  const hid_t file = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  const hid_t data = H5Gcreate2(file, "data", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  const int demos = 1 + choices->Byte() % 3;
  WriteInteger(data, "num_demos", choices->Number(demos) % 100, choices);
  if (choices->Byte() % 2 == 0) WriteText(data, "settings_hash", "01", choices);
  static const std::array<const char*, 8> env = {
      R"({"env_name": "t", "env_kwargs": {"camera_names": ["front"], "camera_heights": 2, "camera_widths": 2}})",
      R"({"env_name": 3, "env_kwargs": {"camera_names": ["front", 1, null]}})",
      R"({"env_kwargs": {"camera_names": "front"}})",
      R"([1, 2])",
      "{",
      R"({"env_name": "t", "env_kwargs": {"camera_names": ["front"], "camera_heights": -2, "camera_widths": 1e300}})",
      R"({"env_name": "t", "env_kwargs": {"camera_names": ["front"], "camera_heights": 4096, "camera_widths": 4096}})",
      R"({"env_kwargs": []})"};
  WriteText(data, "env_args", env[choices->Rarely() ? choices->Byte() % env.size() : 0], choices);
  for (int d = 0; d < demos; ++d) {
    const std::string name = "demo_" + std::to_string(d);
    const hid_t demo = H5Gcreate2(data, name.c_str(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    const hsize_t steps = 1 + choices->Byte() % 12, stride = 1 + choices->Byte() % 4;
    const hsize_t blocks = (steps + stride - 1) / stride;
    for (const char* key : {"task", "delay", "instruction"}) {
      if (!choices->Rarely()) WriteText(demo, key, std::string(choices->Byte() % 5, 'x'), choices);
    }
    WriteInteger(demo, "episode", choices->Number(d), choices);
    WriteInteger(demo, "num_samples", choices->Number(static_cast<int64_t>(steps)), choices);
    WriteInteger(demo, "num_inferences", choices->Number(static_cast<int64_t>(blocks)), choices);
    WriteInteger(demo, "image_stride", choices->Number(static_cast<int64_t>(stride)), choices);
    if (!choices->Rarely()) WriteInteger(demo, "choices", choices->Number(1), choices);
    for (const char* key : {"cue_begin_s", "cue_end_s", "target_places"}) {
      std::vector<double> values(choices->Byte() % 7);
      for (double& value : values) value = static_cast<double>(choices->Number(1)) * 0.3;
      if (!choices->Rarely()) WriteReals(demo, key, values, choices);
    }
    H5Gclose(H5Gcreate2(demo, "obs", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    H5Gclose(H5Gcreate2(demo, "labels", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    for (const char* set : {"actions", "executed", "targets"}) {
      WriteData(demo, set, {steps, 7}, H5T_IEEE_F32LE, choices);
    }
    WriteData(demo, "states", {steps, 5}, H5T_IEEE_F64LE, choices);
    WriteData(demo, "obs/ee_pos", {steps, 3}, H5T_IEEE_F64LE, choices);
    WriteData(demo, "obs/ee_quat", {steps, 4}, H5T_IEEE_F64LE, choices);
    WriteData(demo, "obs/gripper_width", {steps}, H5T_IEEE_F64LE, choices);
    WriteData(demo, "labels/waypoint", {steps, 3}, H5T_IEEE_F32LE, choices);
    WriteData(demo, "labels/target_class", {steps}, H5T_STD_I32LE, choices);
    WriteData(demo, "labels/decision", {steps}, H5T_STD_U8LE, choices);
    WriteData(demo, "obs/front_image", {blocks, 2, 2, 3}, H5T_STD_U8LE, choices);
    H5Gclose(demo);
  }
  H5Gclose(data);
  H5Fclose(file);
}

// What is taken is of the sizes that it says: good for a policy of these.
void Use(const DemoEpisode& episode) {
  PolicyConfig config;
  config.cameras.resize(episode.images.size());
  config.replan_steps = (episode.steps + episode.blocks - 1) / episode.blocks;
  const size_t pixels = episode.images.front().size() / 3 / static_cast<size_t>(episode.blocks);
  config.image_size = static_cast<int>(std::lround(std::sqrt(static_cast<double>(pixels))));
  const auto side = static_cast<size_t>(config.image_size);
  if (side * side == pixels && !CheckDemo(episode, config).ok()) abort();
}

}  // namespace
}  // namespace kvla

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const kvla::FuzzFolder folder;
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  folder.Clear();
  if (size > 0 && data[0] == 'F') {
    folder.Write("x.hdf5", data + 1, size - 1);
  } else {
    kvla::MakeFile(folder.path() / "x.hdf5", kvla::Choices(data, size));
  }
  const auto reader = kvla::DemoReader::Open(folder.path());
  if (!reader.ok()) return 0;
  for (int i = 0; i < (*reader)->size() && i < 4; ++i) {
    const auto episode = (*reader)->Read(i);
    if (episode.ok()) kvla::Use(*episode);
  }
  return 0;
}

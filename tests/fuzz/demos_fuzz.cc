// HDF5 demonstrations. An input that starts with 'F' is a file as it is, mutated freely (what the
// HDF5 library does with that is its own). Any other one is a list of choices from which a valid
// file is made, whose attributes and datasets have unexpected shapes, types and values: what our
// reader has to withstand.
#include <hdf5.h>

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "harness/demo_reader.h"
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

void WriteInteger(hid_t at, const char* name, int64_t value) {
  const hid_t space = H5Screate(H5S_SCALAR);
  const hid_t attribute = H5Acreate2(at, name, H5T_STD_I64LE, space, H5P_DEFAULT, H5P_DEFAULT);
  H5Awrite(attribute, H5T_NATIVE_INT64, &value);
  H5Aclose(attribute);
  H5Sclose(space);
}

void WriteText(hid_t at, const char* name, const std::string& text) {
  const hid_t space = H5Screate(H5S_SCALAR), type = H5Tcopy(H5T_C_S1);
  H5Tset_size(type, text.size() + 1);
  const hid_t attribute = H5Acreate2(at, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
  H5Awrite(attribute, type, text.c_str());
  H5Aclose(attribute);
  H5Tclose(type);
  H5Sclose(space);
}

void WriteReals(hid_t at, const char* name, const std::vector<double>& values) {
  const hsize_t size = values.size();
  const hid_t space = H5Screate_simple(1, &size, nullptr);
  const hid_t attribute = H5Acreate2(at, name, H5T_IEEE_F64LE, space, H5P_DEFAULT, H5P_DEFAULT);
  if (size > 0) H5Awrite(attribute, H5T_NATIVE_DOUBLE, values.data());
  H5Aclose(attribute);
  H5Sclose(space);
}

// A dataset of `rows` x `columns`, now and then of another size, rank or type, or not there.
void WriteData(hid_t at, const std::string& name, hsize_t rows, hsize_t columns, Choices* choices) {
  if (choices->Rarely()) return;
  std::array<hsize_t, 3> shape = {rows, columns, 1};
  if (choices->Rarely()) shape[choices->Byte() % 2] = choices->Byte() % 40;
  const int rank = choices->Rarely() ? 1 + choices->Byte() % 3 : 2;
  static const std::array<hid_t, 5> types = {H5T_IEEE_F32LE, H5T_IEEE_F64LE, H5T_STD_U8LE,
                                             H5T_STD_I64LE, H5T_C_S1};
  const hid_t type = types[choices->Rarely() ? choices->Byte() % types.size() : 0];
  const hid_t space = H5Screate_simple(rank, shape.data(), nullptr);
  const hid_t data =
      H5Dcreate2(at, name.c_str(), type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  hsize_t size = 1;
  for (int i = 0; i < rank; ++i) size *= shape[static_cast<size_t>(i)];
  std::vector<float> values(static_cast<size_t>(size));
  for (float& value : values) value = static_cast<float>(choices->Byte()) / 16;
  if (size > 0 && type != H5T_C_S1)
    H5Dwrite(data, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data());
  H5Dclose(data);
  H5Sclose(space);
}

void MakeFile(const std::filesystem::path& path, Choices choices) {
  const hid_t file = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  const hid_t data = H5Gcreate2(file, "data", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  const int demos = 1 + choices.Byte() % 3;
  WriteInteger(data, "num_demos", choices.Number(demos) % 100);
  static const std::array<const char*, 6> env = {
      R"({"env_name": "t", "env_kwargs": {"camera_names": ["front"]}})",
      R"({"env_name": 3, "env_kwargs": {"camera_names": ["front", 1, null]}})",
      R"({"env_kwargs": {"camera_names": "front"}})",
      R"([1, 2])",
      "{",
      R"({"env_kwargs": []})"};
  WriteText(data, "env_args", env[choices.Rarely() ? choices.Byte() % env.size() : 0]);
  for (int d = 0; d < demos; ++d) {
    const std::string name = "demo_" + std::to_string(d);
    const hid_t demo = H5Gcreate2(data, name.c_str(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    const hsize_t steps = 1 + choices.Byte() % 12, stride = 1 + choices.Byte() % 4;
    const hsize_t blocks = (steps + stride - 1) / stride;
    for (const char* key : {"task", "delay", "instruction"}) {
      if (!choices.Rarely()) WriteText(demo, key, std::string(choices.Byte() % 5, 'x'));
    }
    WriteInteger(demo, "episode", choices.Number(d));
    WriteInteger(demo, "num_samples", choices.Number(static_cast<int64_t>(steps)));
    WriteInteger(demo, "num_inferences", choices.Number(static_cast<int64_t>(blocks)));
    WriteInteger(demo, "image_stride", choices.Number(static_cast<int64_t>(stride)));
    if (!choices.Rarely()) WriteInteger(demo, "choices", choices.Number(1));
    for (const char* key : {"cue_begin_s", "cue_end_s", "target_places"}) {
      std::vector<double> values(choices.Byte() % 7);
      for (double& value : values) value = static_cast<double>(choices.Number(1)) * 0.3;
      if (!choices.Rarely()) WriteReals(demo, key, values);
    }
    H5Gclose(H5Gcreate2(demo, "obs", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    H5Gclose(H5Gcreate2(demo, "labels", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    for (const auto& [set, columns] :
         std::vector<std::pair<std::string, hsize_t>>{{"actions", 7},
                                                      {"executed", 7},
                                                      {"targets", 7},
                                                      {"states", 5},
                                                      {"obs/ee_pos", 3},
                                                      {"obs/ee_quat", 4},
                                                      {"obs/gripper_width", 1},
                                                      {"labels/waypoint", 3},
                                                      {"labels/target_class", 1},
                                                      {"labels/decision", 1}}) {
      WriteData(demo, set, steps, columns, &choices);
    }
    WriteData(demo, "obs/front_image", blocks, 12, &choices);
    H5Gclose(demo);
  }
  H5Gclose(data);
  H5Fclose(file);
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
    (void)(*reader)->Read(i);
    (void)(*reader)->ReadStates(i);
    (void)(*reader)->ReadExecuted(i);
  }
  return 0;
}

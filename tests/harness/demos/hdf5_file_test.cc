// SPDX-License-Identifier: Apache-2.0
// What an HDF5 file says is checked before it is read: attributes, datasets, filters, locks.
#include "harness/demos/hdf5_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <hdf5.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <fstream>

#include "tests/scratch_dir.h"

namespace kvla {
namespace {

class Hdf5FileTest : public testing::Test {
 protected:
  // The file is written by the library itself, and read by ours.
  void SetUp() override {
    file_ = H5Fcreate(path_.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    ASSERT_GE(file_, 0);
  }
  void TearDown() override {
    if (file_ >= 0) H5Fclose(file_);
  }
  Hdf5Node Open() {
    H5Fclose(std::exchange(file_, -1));
    Result<Hdf5Node> node = Hdf5Node::OpenFile(path_);
    EXPECT_TRUE(node.ok()) << node.status().message();
    return *std::move(node);
  }
  void Attribute(const char* name, hid_t type, const std::vector<hsize_t>& shape,
                 const void* values) {
    const hid_t space =
        shape.empty() ? H5Screate(H5S_SCALAR)
                      : H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr);
    const hid_t attribute = H5Acreate2(file_, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    ASSERT_GE(H5Awrite(attribute, type, values), 0);
    H5Aclose(attribute);
    H5Sclose(space);
  }
  // Nothing is written when `values` is null.
  void Dataset(const char* name, hid_t type, const std::vector<hsize_t>& shape, const void* values,
               hid_t creation = H5P_DEFAULT) {
    const hid_t space = H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr);
    const hid_t set = H5Dcreate2(file_, name, type, space, H5P_DEFAULT, creation, H5P_DEFAULT);
    ASSERT_GE(set, 0);
    if (values != nullptr) {
      ASSERT_GE(H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values), 0);
    }
    H5Dclose(set);
    H5Sclose(space);
  }

  ScratchDir scratch_;
  std::filesystem::path path_ = scratch_ / "x.hdf5";
  hid_t file_ = -1;
};

void ExpectSays(const Status& status, const std::vector<std::string>& parts) {
  EXPECT_EQ(status.code(), StatusCode::kBadInput);
  for (const std::string& part : parts) {
    EXPECT_NE(status.message().find(part), std::string::npos) << status.message();
  }
}

TEST_F(Hdf5FileTest, AnAttributeOfManyValuesIsNoScalar) {
  const std::vector<int64_t> many(4000, 7);
  const std::vector<const char*> texts(3000, "x");
  const hid_t text = H5Tcopy(H5T_C_S1);
  H5Tset_size(text, H5T_VARIABLE);
  Attribute("many", H5T_NATIVE_INT64, {4000}, many.data());
  Attribute("texts", text, {3000}, texts.data());
  Attribute("one", H5T_NATIVE_INT64, {1}, many.data());
  H5Tclose(text);
  const Hdf5Node node = Open();
  ExpectSays(node.Integer("many").status(),
             {path_.string(), "'many' has 4000 values, one is expected"});
  ExpectSays(node.Text("texts").status(), {"'texts' has 3000 values, one is expected"});
  EXPECT_EQ(*node.Integer("one"), 7);
}

TEST_F(Hdf5FileTest, AnAttributeOfAnotherTypeIsNamed) {
  const double real = 2.5;
  const int64_t whole = 2;
  Attribute("real", H5T_NATIVE_DOUBLE, {}, &real);
  Attribute("whole", H5T_NATIVE_INT64, {}, &whole);
  const Hdf5Node node = Open();
  ExpectSays(node.Integer("real").status(), {"'real' is float64, an integer is expected"});
  ExpectSays(node.Text("whole").status(), {"'whole' is int64, a text is expected"});
  ExpectSays(node.Reals("whole").status(), {"'whole'", "int64", "reals"});
  ExpectSays(node.Integer("none").status(), {"no attribute 'none'"});
}

TEST_F(Hdf5FileTest, TextOfFixedLengthIsRead) {
  const hid_t type = H5Tcopy(H5T_C_S1);
  H5Tset_size(type, 6);
  Attribute("ended", type, {}, "abc\0zz");
  Attribute("full", type, {}, "abcdef");
  H5Tset_strpad(type, H5T_STR_SPACEPAD);
  Attribute("spaces", type, {}, "ab    ");
  H5Tset_cset(type, H5T_CSET_UTF8);
  Attribute("utf8", type, {}, "\xc3\xa9    ");
  H5Tclose(type);
  const Hdf5Node node = Open();
  EXPECT_EQ(*node.Text("ended"), "abc");
  EXPECT_EQ(*node.Text("full"), "abcdef");
  EXPECT_EQ(*node.Text("spaces"), "ab");
  EXPECT_EQ(*node.Text("utf8"), "\xc3\xa9");
}

TEST_F(Hdf5FileTest, ADatasetOfAnotherShapeOrTypeIsNotRead) {
  const std::vector<float> values(24, 1.5F);
  Dataset("reals", H5T_NATIVE_FLOAT, {4, 6}, values.data());
  const std::vector<int8_t> bytes(24, -1);
  Dataset("signed", H5T_NATIVE_INT8, {4, 6}, bytes.data());
  const Hdf5Node node = Open();
  std::vector<float> reals;
  EXPECT_TRUE(node.Read("reals", {4, 6}, &reals).ok());
  EXPECT_EQ(reals, values);
  for (const std::vector<int64_t>& shape :
       {std::vector<int64_t>{6, 4}, {24}, {4, 6, 1}, {4, 5}, {4, 7}, {}}) {
    ExpectSays(node.Read("reals", shape, &reals), {path_.string(), "'reals' is [4, 6]", "wanted"});
  }
  std::vector<uint8_t> read;
  ExpectSays(node.Read("reals", {4, 6}, &read), {"'reals' holds float32, uint8 is wanted"});
  ExpectSays(node.Read("signed", {4, 6}, &read), {"'signed' holds int8, uint8 is wanted"});
  ExpectSays(node.Read("signed", {4, 6}, &reals), {"'signed' holds int8, a real type is wanted"});
  EXPECT_TRUE(read.empty());
}

TEST_F(Hdf5FileTest, RowsThatWereNeverWrittenAreNotAllocated) {
  const hid_t chunked = H5Pcreate(H5P_DATASET_CREATE);
  const std::array<hsize_t, 1> chunk = {1 << 20};
  H5Pset_chunk(chunked, 1, chunk.data());
  Dataset("huge", H5T_NATIVE_FLOAT, {100'000'000'000}, nullptr, chunked);
  Dataset("late", H5T_NATIVE_FLOAT, {10}, nullptr);
  H5Pclose(chunked);
  const Hdf5Node node = Open();
  std::vector<float> values;
  ExpectSays(node.Read("huge", {100'000'000'000}, &values), {"'huge'", "not written to its end"});
  ExpectSays(node.Read("late", {10}, &values), {"'late'", "not written to its end"});
}

size_t Plain(unsigned, size_t, const unsigned*, size_t bytes, size_t*, void**) { return bytes; }

TEST_F(Hdf5FileTest, AFilterThatIsNotBuiltInIsNamed) {
  constexpr H5Z_filter_t kFilter = 300;
  const H5Z_class2_t filter = {H5Z_CLASS_T_VERS, kFilter, 1, 1, "squeeze", nullptr, nullptr, Plain};
  ASSERT_GE(H5Zregister(&filter), 0);
  const hid_t packed = H5Pcreate(H5P_DATASET_CREATE);
  const std::array<hsize_t, 1> chunk = {4};
  H5Pset_chunk(packed, 1, chunk.data());
  H5Pset_filter(packed, kFilter, H5Z_FLAG_MANDATORY, 0, nullptr);
  const std::vector<float> values(8, 1.5F);
  Dataset("x", H5T_NATIVE_FLOAT, {8}, values.data(), packed);
  H5Pclose(packed);
  const Hdf5Node node = Open();
  ASSERT_GE(H5Zunregister(kFilter), 0);
  std::vector<float> read;
  ExpectSays(node.Read("x", {8}, &read), {"'x'", "filter 300 ('squeeze')", "not built in"});
}

TEST_F(Hdf5FileTest, ALockedFileIsNotCalledBroken) {
  H5Fclose(std::exchange(file_, -1));
  const int fd = open(path_.c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_GE(fd, 0);
  ASSERT_EQ(flock(fd, LOCK_EX | LOCK_NB), 0);
  ExpectSays(Hdf5Node::OpenFile(path_).status(), {path_.string(), "another program", "locked"});
  close(fd);
  EXPECT_TRUE(Hdf5Node::OpenFile(path_).ok());
  std::ofstream(path_) << "no HDF5";
  ExpectSays(Hdf5Node::OpenFile(path_).status(), {"not a complete HDF5 file"});
}

}  // namespace
}  // namespace kvla

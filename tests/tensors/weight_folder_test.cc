// SPDX-License-Identifier: Apache-2.0
#include "tensors/weight_folder.h"

#include <gtest/gtest.h>

#include "base/files.h"
#include "tensors/torch.h"
#include "tests/scratch_dir.h"

namespace kvla {
namespace {

constexpr const char* kIndex = "model.safetensors.index.json";

class WeightFolderTest : public testing::Test {
 protected:
  void Write(const std::string& file, const std::map<std::string, at::Tensor>& tensors) {
    ASSERT_TRUE(WriteSafetensors(folder_ / file, {tensors, {}}).ok());
  }
  void WriteIndex(const std::string& text) {
    ASSERT_TRUE(WriteFileAtomic(folder_ / kIndex, text).ok());
  }
  void ExpectBad(const std::string& what) {
    const Status status = MapWeightFolder(folder_.path()).status();
    EXPECT_EQ(status.code(), StatusCode::kBadInput);
    EXPECT_NE(status.message().find(what), std::string::npos) << status.message();
  }
  ScratchDir folder_;
};

TEST_F(WeightFolderTest, OneFileAndShardsAreTheSame) {
  const at::Tensor a = torch::randn({3, 2}), b = torch::randn({5}).to(at::kBFloat16);
  Write("model.safetensors", {{"a", a}, {"b", b}});
  for (const bool sharded : {false, true}) {
    if (sharded) {
      std::filesystem::remove(folder_ / "model.safetensors");
      Write("one", {{"a", a}});
      Write("two", {{"b", b}});
      WriteIndex(R"({"weight_map": {"a": "one", "b": "two"}})");
    }
    const auto file = MapWeightFolder(folder_.path());
    ASSERT_TRUE(file.ok()) << file.status().message();
    ASSERT_EQ(file->tensors.size(), 2U);
    EXPECT_TRUE(file->tensors.at("a").equal(a));
    EXPECT_TRUE(file->tensors.at("b").equal(b));
  }
}

// Values stay readable when nothing but a tensor holds the mapping.
TEST_F(WeightFolderTest, ATensorKeepsItsMapping) {
  const at::Tensor a = torch::randn({1000});
  Write("model.safetensors", {{"a", a}});
  at::Tensor kept;
  {
    auto file = MapWeightFolder(folder_.path());
    ASSERT_TRUE(file.ok());
    kept = file->tensors.at("a").narrow(0, 10, 5);
  }
  std::filesystem::remove(folder_ / "model.safetensors");
  EXPECT_TRUE(kept.equal(a.narrow(0, 10, 5)));
}

// A header of an odd length: F32 values lie where no load may begin.
TEST_F(WeightFolderTest, MisalignedValuesAreCopied) {
  const std::string header = R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";
  const std::string padded = header + std::string(header.size() % 2 == 0 ? 1 : 2, ' ');
  const uint64_t size = padded.size();
  const float value = 2.5F;
  ASSERT_TRUE(WriteFileAtomic(folder_ / "model.safetensors",
                              std::string(reinterpret_cast<const char*>(&size), 8) + padded +
                                  std::string(reinterpret_cast<const char*>(&value), 4))
                  .ok());
  const auto file = MapWeightFolder(folder_.path());
  ASSERT_TRUE(file.ok()) << file.status().message();
  EXPECT_EQ(file->tensors.at("a").item<float>(), 2.5F);
}

TEST_F(WeightFolderTest, WhatIndexAndShardsSayOfEachOther) {
  ExpectBad("model.safetensors");  // nothing is there
  const at::Tensor a = torch::ones({2});
  Write("one", {{"a", a}});
  Write("two", {{"b", a}});
  for (const auto& [index, what] : std::map<std::string, std::string>{
           {"[]", "no index"},
           {R"({"weight_map": {}})", "no tensor"},
           {R"({"weight_map": {"a": 1}})", "tensor 'a'"},
           {R"({"weight_map": {"a": "../one"}})", "no file beside"},
           {R"({"weight_map": {"a": "one", "b": "three"}})", "three"},
           {R"({"weight_map": {"a": "one", "c": "two"}})", "'b'"},
           {R"({"weight_map": {"a": "two", "b": "two"}})", "'a'"},
           {R"({"weight_map": {"a": "one", "c": "one"}})", "'c'"}}) {
    WriteIndex(index);
    ExpectBad(what);
  }
  WriteIndex(R"({"weight_map": {"a": "one", "b": "two"}})");
  EXPECT_TRUE(MapWeightFolder(folder_.path()).ok());
  Write("model.safetensors", {{"a", a}});
  ExpectBad("which of them");
}

}  // namespace
}  // namespace kvla

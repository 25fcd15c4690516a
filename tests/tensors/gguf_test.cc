// SPDX-License-Identifier: Apache-2.0
#include "tensors/gguf.h"

#include <gtest/gtest.h>

#include <functional>

#include "base/files.h"
#include "tensors/gguf_metadata.h"
#include "tests/scratch_dir.h"
#include "tests/tensors/small_gguf.h"

namespace kvla {
namespace {

// Halfs: 1 is 3c00, 0.5 is 3800, -2 is c000.
const std::string kOne("\x00\x3c", 2), kHalf("\x00\x38", 2), kMinusTwo("\x00\xc0", 2);

class GgufTest : public testing::Test {
 protected:
  Result<GgufFile> Read(const std::string& bytes) {
    const auto path = folder_ / "x.gguf";
    EXPECT_TRUE(WriteFileAtomic(path, bytes).ok());
    return ReadGguf(path);
  }
  ScratchDir folder_;
};

TEST_F(GgufTest, ItsMetadataAreReadWithoutItsWeights) {
  SmallGguf file;
  file.Text("general.name", "small");
  file.F32("f32", torch::tensor({{1.5F, -2.25F}}));
  const std::string bytes = file.Bytes();
  const auto path = folder_ / "cut.gguf";
  // Without its last bytes, which are the weights' and what fills them up.
  ASSERT_TRUE(WriteFileAtomic(path, std::string_view(bytes).substr(0, bytes.size() - 32)).ok());
  EXPECT_FALSE(ReadGguf(path).ok());
  const Result<nlohmann::json> metadata = ReadGgufMetadata(path);
  ASSERT_TRUE(metadata.ok()) << metadata.status().message();
  EXPECT_EQ((*metadata)["general.name"], "small");
  ASSERT_TRUE(WriteFileAtomic(path, "no GGUF").ok());
  EXPECT_EQ(ReadGgufMetadata(path).status().code(), StatusCode::kBadInput);
}

// Nibble i of a block: low halves are values 0 to 15, high ones 16 to 31.
TEST_F(GgufTest, BlocksBecomeTheNumbersThatTheyStandFor) {
  std::string nibbles, codes;
  for (int i = 0; i < 16; ++i) nibbles += static_cast<char>(i | (15 - i) << 4);
  for (int i = 0; i < 32; ++i) codes += static_cast<char>(i - 16);
  SmallGguf file;
  file.Tensor("q4_0", 2, {1, 32}, kHalf + nibbles);
  file.Tensor("q4_1", 3, {2, 32}, kHalf + kMinusTwo + nibbles + kOne + kOne + nibbles);
  file.Tensor("q8_0", 8, {32}, kHalf + codes);
  file.Tensor("f16", 1, {3, 1}, kOne + kHalf + kMinusTwo);
  file.F32("f32", torch::tensor({{1.5F, -2.25F}}));
  const Result<GgufFile> read = Read(file.Bytes());
  ASSERT_TRUE(read.ok()) << read.status().message();
  const auto at = [&](const char* name, int64_t row, int64_t i) {
    return read->tensors.at(name)[row][i].item<float>();
  };
  for (int i = 0; i < 16; ++i) {
    EXPECT_EQ(at("q4_0", 0, i), 0.5F * static_cast<float>(i - 8));
    EXPECT_EQ(at("q4_0", 0, 16 + i), 0.5F * static_cast<float>(7 - i));
    EXPECT_EQ(at("q4_1", 0, i), 0.5F * static_cast<float>(i) - 2);
    EXPECT_EQ(at("q4_1", 1, 16 + i), static_cast<float>(15 - i) + 1);
    EXPECT_EQ(read->tensors.at("q8_0")[i].item<float>(), 0.5F * static_cast<float>(i - 16));
  }
  EXPECT_EQ(at("f16", 2, 0), -2);
  EXPECT_EQ(at("f32", 0, 1), -2.25F);
  EXPECT_EQ(read->types.at("q4_1"), "Q4_1");
}

TEST_F(GgufTest, MetadataAreRead) {
  SmallGguf file;
  file.Text("general.architecture", "llama");
  file.Number("llama.block_count", 30);
  file.Real("eps", 0.5F);
  file.List("tokens", {"a", "", "b c"});
  for (const uint32_t version : {2U, 3U}) {
    const Result<GgufFile> read = Read(file.Bytes(version));
    ASSERT_TRUE(read.ok()) << read.status().message();
    EXPECT_EQ(read->metadata["general.architecture"], "llama");
    EXPECT_EQ(read->metadata["llama.block_count"], 30);
    EXPECT_EQ(read->metadata["eps"], 0.5);
    EXPECT_EQ(read->metadata["tokens"], (nlohmann::json{"a", "", "b c"}));
  }
}

TEST_F(GgufTest, WhatIsWrongIsSaidAndNothingIsReadBehindTheEnd) {
  SmallGguf good;
  good.Text("general.name", "x");
  good.F32("w", torch::ones({2, 32}));
  const std::string bytes = good.Bytes();
  ASSERT_TRUE(Read(bytes).ok());
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_EQ(Read(bytes.substr(0, size)).status().code(), StatusCode::kBadInput) << size;
  }
  const auto expect = [&](const std::string& file, const std::string& what) {
    const Status status = Read(file).status();
    EXPECT_EQ(status.code(), StatusCode::kBadInput);
    EXPECT_NE(status.message().find(what), std::string::npos) << status.message();
  };
  expect("GGML" + bytes.substr(4), "not a GGUF file");
  expect(good.Bytes(1), "version 1");
  SmallGguf other;
  other.Tensor("w", 12, {1, 256}, std::string(144, '\0'));
  expect(other.Bytes(), "ggml's type 12");
  SmallGguf ragged;
  ragged.Tensor("w", 2, {2, 16}, std::string(18, '\0'));
  expect(ragged.Bytes(), "no blocks of 32");
  SmallGguf twice;
  twice.F32("w", torch::ones({1}));
  twice.F32("w", torch::ones({1}));
  expect(twice.Bytes(), "there twice");
  SmallGguf infinite;
  infinite.F32("w", torch::full({1}, INFINITY));
  expect(infinite.Bytes(), "not finite");
  SmallGguf large;
  large.Tensor("w", 0, {int64_t{1} << 40, int64_t{1} << 40}, "");
  expect(large.Bytes(), "too large");
}

}  // namespace
}  // namespace kvla

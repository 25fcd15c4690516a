// SPDX-License-Identifier: Apache-2.0
#include "tensors/safetensors.h"

#include <cmath>
#include <fstream>

#include "tensors/torch.h"
#include "tests/scratch_dir.h"

namespace kvla {
namespace {

void Write(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

std::string Bytes(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// A file with this header and so many bytes of data.
std::string File(const std::string& header, size_t data) {
  const uint64_t size = header.size();
  return std::string(reinterpret_cast<const char*>(&size), 8) + header + std::string(data, '\1');
}

TEST(Safetensors, RoundTrip) {
  const ScratchDir folder;
  TensorFile file;
  for (const at::ScalarType type : {at::kFloat, at::kDouble, at::kHalf, at::kBFloat16, at::kLong,
                                    at::kInt, at::kShort, at::kChar, at::kByte, at::kBool}) {
    file.tensors[c10::toString(type)] = torch::randint(0, 2, {3, 5}).to(type);
  }
  file.tensors["scalar"] = torch::tensor(2.5f);
  file.tensors["empty"] = torch::zeros({0, 4});
  file.tensors["strided"] = torch::randn({4, 6}).t();
  file.metadata = {{"a", "1"}, {"name", "\"quoted\" \xc3\xa9"}};
  ASSERT_TRUE(WriteSafetensors(folder / "x.safetensors", file).ok());
  auto got = ReadSafetensors(folder / "x.safetensors");
  ASSERT_TRUE(got.ok()) << got.status().message();
  EXPECT_EQ(got->metadata, file.metadata);
  ASSERT_EQ(got->tensors.size(), file.tensors.size());
  for (const auto& [name, tensor] : file.tensors) {
    EXPECT_EQ(got->tensors[name].scalar_type(), tensor.scalar_type());
    EXPECT_TRUE(torch::equal(got->tensors[name], tensor)) << name;
  }
}

TEST(Safetensors, EveryTruncationIsRefused) {
  const ScratchDir folder;
  ASSERT_TRUE(WriteSafetensors(folder / "x", {{{"w", torch::randn({7, 3})}}, {{"k", "v"}}}).ok());
  const std::string whole = Bytes(folder / "x");
  for (size_t size = 0; size < whole.size(); ++size) {
    Write(folder / "cut", whole.substr(0, size));
    const Status s = ReadSafetensors(folder / "cut").status();
    ASSERT_EQ(s.code(), StatusCode::kBadInput) << size;
    EXPECT_NE(s.message().find("cut"), std::string::npos);
  }
  Write(folder / "long", whole + "x");
  EXPECT_EQ(ReadSafetensors(folder / "long").status().code(), StatusCode::kBadInput);
}

TEST(Safetensors, MalformedHeadersAreRefused) {
  const ScratchDir folder;
  const std::string good = R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
  Write(folder / "good", File(good, 8));
  EXPECT_TRUE(ReadSafetensors(folder / "good").ok());
  const std::pair<const char*, size_t> bad[] = {
      {"", 0},
      {"[1,2]", 0},
      {"{\"w\":", 0},
      {R"({"w":3})", 0},
      {R"({"w":{"dtype":"F32","shape":[2]}})", 8},
      {R"({"w":{"dtype":"F31","shape":[2],"data_offsets":[0,8]}})", 8},
      {R"({"w":{"dtype":32,"shape":[2],"data_offsets":[0,8]}})", 8},
      {R"({"w":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})", 8},
      {R"({"w":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})", 8},
      {R"({"w":{"dtype":"F32","shape":[2.5],"data_offsets":[0,8]}})", 8},
      {R"({"w":{"dtype":"F32","shape":"2","data_offsets":[0,8]}})", 8},
      {R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})", 8},
      {R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8,9]}})", 8},
      {R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})", 12},
      {R"({"w":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}})", 0},
      {R"({"v":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},
           "w":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})",
       12},
      {R"({"__metadata__":3})", 0},
      {R"({"__metadata__":{"a":1}})", 0},
  };
  for (const auto& [header, data] : bad) {
    Write(folder / "bad", File(header, data));
    const Status s = ReadSafetensors(folder / "bad").status();
    EXPECT_EQ(s.code(), StatusCode::kBadInput) << header;
  }
  Write(folder / "huge", std::string(8, '\xff') + "{}");
  EXPECT_EQ(ReadSafetensors(folder / "huge").status().code(), StatusCode::kBadInput);
  EXPECT_EQ(ReadSafetensors(folder / "none").status().code(), StatusCode::kBadInput);
}

TEST(Safetensors, NoMetadataMayBeNull) {
  const ScratchDir folder;
  Write(folder / "x",
        File(R"({"__metadata__":null,"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 8));
  const Result<TensorFile> file = ReadSafetensors(folder / "x");
  ASSERT_TRUE(file.ok()) << file.status().message();
  EXPECT_TRUE(file->metadata.empty());
  EXPECT_EQ(file->tensors.size(), 1u);
}

TEST(Safetensors, WeightsAreRealAndFinite) {
  const ScratchDir folder;
  const auto read = [&](const at::Tensor& tensor) {
    EXPECT_TRUE(
        WriteSafetensors(folder / "x", {{{"a", torch::ones({2})}, {"w", tensor}}, {}}).ok());
    return ReadWeights(folder / "x").status();
  };
  for (const at::ScalarType type : {at::kHalf, at::kBFloat16, at::kFloat, at::kDouble}) {
    const Status good = read(torch::ones({3, 2}).to(type));
    EXPECT_TRUE(good.ok()) << good.message();
    for (const double value : {std::nan(""), HUGE_VAL, -HUGE_VAL}) {
      at::Tensor tensor = torch::ones({3, 2}).to(type);
      tensor[2][1] = value;
      const Status s = read(tensor);
      EXPECT_EQ(s.code(), StatusCode::kBadInput);
      EXPECT_NE(s.message().find("x: tensor 'w' has values that are not finite"), std::string::npos)
          << s.message();
    }
  }
  EXPECT_FALSE(read(torch::full({2}, 1e300, at::kDouble)).ok()) << "no F32 is as large";
  for (const auto& [type, name] : {std::pair{at::kChar, "I8"},
                                   {at::kByte, "U8"},
                                   {at::kLong, "I64"},
                                   {at::kInt, "I32"},
                                   {at::kShort, "I16"},
                                   {at::kBool, "BOOL"}}) {
    const Status s = read(torch::ones({3, 2}).to(type));
    EXPECT_EQ(s.code(), StatusCode::kBadInput);
    EXPECT_NE(s.message().find(std::string("tensor 'w' has dtype ") + name), std::string::npos)
        << s.message();
    EXPECT_NE(s.message().find("F16, BF16, F32 or F64"), std::string::npos) << s.message();
  }
}

TEST(Safetensors, UnwritableFolderIsAnErrorAndLeavesNothing) {
  const ScratchDir folder;
  EXPECT_FALSE(WriteSafetensors(folder / "no/such/x", {{{"w", torch::ones({1})}}, {}}).ok());
  EXPECT_FALSE(std::filesystem::exists(folder / "no"));
}

}  // namespace
}  // namespace kvla

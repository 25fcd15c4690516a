// SPDX-License-Identifier: Apache-2.0
#include "harness/analyze/attention_dump.h"

#include <functional>
#include <limits>
#include <tuple>

#include "tests/harness/analyze/random_dump.h"

namespace kvla {
namespace {

TEST(AttentionDump, IsReadWithItsGeometry) {
  const ScratchDir folder;
  AttentionDump dump = RandomDump(7, 1);
  TensorFile file = FileOf(dump);
  file.metadata["rope_theta"] = "500";
  ASSERT_TRUE(WriteSafetensors(folder / "x", file).ok());
  const Result<AttentionDump> read = ReadAttentionDump(folder / "x");
  ASSERT_TRUE(read.ok()) << read.status().message();
  EXPECT_TRUE(torch::equal(read->keys, dump.keys));
  EXPECT_TRUE(torch::equal(read->values, dump.values));
  EXPECT_TRUE(torch::equal(read->queries, dump.queries));
  const CacheGeometry &g = read->geometry, wanted = dump.geometry;
  EXPECT_EQ(std::tuple(g.layers, g.heads, g.kv_heads, g.head_dim, g.tokens_per_block, g.max_blocks,
                       g.instruction_tokens, g.age_clamp_blocks, g.rope_theta),
            std::tuple(wanted.layers, wanted.heads, wanted.kv_heads, wanted.head_dim,
                       wanted.tokens_per_block, 7, wanted.instruction_tokens,
                       wanted.age_clamp_blocks, 500.0));
}

TEST(AttentionDump, HalvesAreReadAsFloats) {
  const ScratchDir folder;
  const AttentionDump dump = RandomDump(3, 2);
  for (const at::ScalarType type : {at::kHalf, at::kBFloat16, at::kDouble}) {
    TensorFile file = FileOf(dump);
    for (auto& [name, tensor] : file.tensors) tensor = tensor.to(type);
    ASSERT_TRUE(WriteSafetensors(folder / "x", file).ok());
    const Result<AttentionDump> read = ReadAttentionDump(folder / "x");
    ASSERT_TRUE(read.ok()) << read.status().message();
    EXPECT_TRUE(torch::equal(read->keys, dump.keys.to(type).to(at::kFloat)));
  }
}

TEST(AttentionDump, WhatIsNotSaidHasAUsualValue) {
  const ScratchDir folder;
  TensorFile file = FileOf(RandomDump(4, 3));  // 14 tokens
  file.metadata = {{"tokens_per_block", "7"}, {"format", "np"}};
  ASSERT_TRUE(WriteSafetensors(folder / "x", file).ok());
  const Result<AttentionDump> read = ReadAttentionDump(folder / "x");
  ASSERT_TRUE(read.ok()) << read.status().message();
  const CacheGeometry& g = read->geometry;
  EXPECT_EQ(std::tuple(g.max_blocks, g.instruction_tokens, g.age_clamp_blocks, g.rope_theta),
            std::tuple(2, 0, 24, 10000.0));
}

// One thing is wrong; the message names it.
struct Malformed {
  const char* message;
  std::function<void(TensorFile&)> change;
};

// A good file of 23 tokens is written, changed in one way, and read. The changes are to a tensor
// (taken out, of another type or shape, one value) or to the metadata; each has the words that the
// message must hold.
TEST(AttentionDump, EachThingThatIsWrongIsNamed) {
  const auto meta = [](const char* key, const char* value) {
    return [=](TensorFile& file) { file.metadata[key] = value; };
  };
  const auto cut = [](const char* name, int dim, int64_t size) {
    return [=](TensorFile& file) {
      file.tensors[name] = file.tensors[name].narrow(dim, 0, size).contiguous();
    };
  };
  const auto put = [](const char* name, double value) {
    return [=](TensorFile& file) { file.tensors[name][1][0][5][3] = value; };
  };
  constexpr double kInf = std::numeric_limits<double>::infinity();
  const std::vector<Malformed> all = {
      {"tensor 'keys' is missing; there are queries, values",
       [](TensorFile& file) { file.tensors.erase("keys"); }},
      {"tensor 'values' is missing", [](TensorFile& file) { file.tensors.erase("values"); }},
      {"tensor 'queries' is missing", [](TensorFile& file) { file.tensors.erase("queries"); }},
      {"tensor 'keys' holds Long",
       [](TensorFile& file) { file.tensors["keys"] = file.tensors["keys"].to(at::kLong); }},
      {"tensor 'keys' is [2, 2, 23, 16, 1]: it must be [layers, kv_heads, tokens, head_dim]",
       [](TensorFile& file) { file.tensors["keys"] = file.tensors["keys"].unsqueeze(-1); }},
      {"tensor 'queries' is [2, 4, 0, 16]: it must be [layers, heads, tokens, head_dim]",
       cut("queries", 2, 0)},
      {"tensor 'values' is [1, 2, 23, 16], 'keys' is [2, 2, 23, 16]", cut("values", 0, 1)},
      {"tensor 'queries' is [2, 4, 22, 16], 'keys' is [2, 2, 23, 16]", cut("queries", 2, 22)},
      {"layers, tokens and head_dim must be the same", cut("queries", 0, 1)},
      {"layers, tokens and head_dim must be the same", cut("queries", 3, 8)},
      {"3 query heads cannot be shared by 2 KV heads", cut("queries", 1, 3)},
      {"head_dim 15 must be even",
       [&](TensorFile& file) {
         for (const char* name : {"keys", "values", "queries"}) cut(name, 3, 15)(file);
       }},
      {"head_dim 4098 must be even and at most 4096",
       [](TensorFile& file) {
         for (auto& [name, tensor] : file.tensors) tensor = torch::zeros({1, 1, 1, 4098});
       }},
      {"65537 layers of 1 heads are more than 65536",
       [](TensorFile& file) {
         for (auto& [name, tensor] : file.tensors) tensor = torch::zeros({65537, 1, 1, 2});
       }},
      {"32769 layers of 2 heads are more than 65536",
       [](TensorFile& file) {
         for (auto& [name, tensor] : file.tensors) tensor = torch::zeros({32769, 1, 1, 2});
         file.tensors["queries"] = torch::zeros({32769, 2, 1, 2});
       }},
      {"tensor 'keys' has nan in layer 1, head 0, token 5", put("keys", std::nan(""))},
      {"tensor 'values' has inf in layer 1, head 0, token 5", put("values", kInf)},
      {"tensor 'queries' has -inf in layer 1, head 0, token 5", put("queries", -kInf)},
      {"tensor 'keys' has 65536 in", put("keys", 65536)},
      {"metadata 'tokens_per_block' is missing",
       [](TensorFile& file) { file.metadata.erase("tokens_per_block"); }},
      {"metadata 'tokens_per_block' is 'three'", meta("tokens_per_block", "three")},
      {"metadata 'tokens_per_block' is '0'", meta("tokens_per_block", "0")},
      {"metadata 'tokens_per_block' is '-3'", meta("tokens_per_block", "-3")},
      {"metadata 'tokens_per_block' is '100001'", meta("tokens_per_block", "100001")},
      {"metadata 'tokens_per_block' is '99999999999999999999'",
       meta("tokens_per_block", "99999999999999999999")},
      {"21 tokens after 2 of the instruction are not one or more blocks of 4",
       meta("tokens_per_block", "4")},
      {"metadata 'instruction_tokens' is '24'", meta("instruction_tokens", "24")},
      {"0 tokens after 23 of the instruction", meta("instruction_tokens", "23")},
      {"metadata 'instruction_tokens' is '2.5'", meta("instruction_tokens", "2.5")},
      {"metadata 'age_clamp_blocks' is '4097'", meta("age_clamp_blocks", "4097")},
      {"metadata 'rope_theta' is 'nan'", meta("rope_theta", "nan")},
      {"metadata 'rope_theta' is '1'", meta("rope_theta", "1")},
      {"metadata 'rope_theta' is '-2'", meta("rope_theta", "-2")},
  };
  const ScratchDir folder;
  for (const Malformed& malformed : all) {
    TensorFile file = FileOf(RandomDump(7, 4));  // 23 tokens
    malformed.change(file);
    ASSERT_TRUE(WriteSafetensors(folder / "dump.safetensors", file).ok());
    const Status status = ReadAttentionDump(folder / "dump.safetensors").status();
    EXPECT_EQ(status.code(), StatusCode::kBadInput) << malformed.message;
    EXPECT_NE(status.message().find(malformed.message), std::string::npos)
        << "'" << malformed.message << "' is not in: " << status.message();
    EXPECT_NE(status.message().find("dump.safetensors"), std::string::npos);
  }
  EXPECT_EQ(ReadAttentionDump(folder / "absent").status().code(), StatusCode::kBadInput);
}

}  // namespace
}  // namespace kvla

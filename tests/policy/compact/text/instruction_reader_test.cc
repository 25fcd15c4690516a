// SPDX-License-Identifier: Apache-2.0
#include "policy/compact/text/instruction_reader.h"

#include <gtest/gtest.h>

#include "policy/compact/net/vla_net.h"
#include "tests/policy/tiny_policy.h"

namespace kvla {
namespace {

PolicyConfig SentenceConfig() {
  PolicyConfig config = TinyConfig();
  config.text = "minilm";
  config.vocabulary.clear();
  return config;
}

TEST(InstructionReader, WordsBecomeIds) {
  Result<InstructionReader> reader = InstructionReader::Create(TinyConfig(), "/nowhere");
  ASSERT_TRUE(reader.ok()) << reader.status().message();
  const Result<torch::Tensor> read = reader->Read("press the button");
  ASSERT_TRUE(read.ok());
  EXPECT_TRUE(torch::equal(*read, torch::tensor({0, 2, 3, 4}, torch::kInt64)));
}

TEST(InstructionReader, SentencesBecomeEmbeddings) {
  Result<InstructionReader> reader =
      InstructionReader::Create(SentenceConfig(), TextEncoderFolder(KVLA_ASSET_ROOT));
  ASSERT_TRUE(reader.ok()) << reader.status().message();
  const Result<torch::Tensor> red = reader->Read("press the red button");
  ASSERT_TRUE(red.ok()) << red.status().message();
  EXPECT_EQ(red->sizes(), at::IntArrayRef({kTextEmbeddingSize}));
  reader->Release();
  const Result<torch::Tensor> blue = reader->Read("press the blue button");
  ASSERT_TRUE(blue.ok());
  EXPECT_GT((*red - *blue).norm().item<double>(), 0.1);
  EXPECT_TRUE(torch::equal(*reader->Read("press the red button"), *red));
}

TEST(InstructionReader, WithoutTheEncoderSaysWhatToDo) {
  const Result<InstructionReader> reader = InstructionReader::Create(SentenceConfig(), "/nowhere");
  ASSERT_FALSE(reader.ok());
  EXPECT_EQ(reader.status().code(), StatusCode::kBadInput);
  EXPECT_NE(reader.status().message().find("setup.sh"), std::string::npos);
}

TEST(SentenceNet, MapsEachEmbeddingToItsOwnTokens) {
  torch::manual_seed(5);
  VlaNet net(SentenceConfig());
  const torch::NoGradGuard no_grad;
  const PolicyConfig& config = net->config();
  const torch::Tensor both = torch::randn({2, kTextEmbeddingSize});
  const torch::Tensor tokens = net->EmbedInstruction(both);
  EXPECT_EQ(tokens.sizes(), at::IntArrayRef({2, config.instruction_tokens, config.hidden_size}));
  EXPECT_LT((tokens[1] - net->EmbedInstruction(both[1])).abs().max().item<double>(), 1e-5);
  EXPECT_GT((tokens[1] - tokens[0]).abs().mean().item<double>(), 0.1);
  EXPECT_EQ(net->InstructionTokens(both), config.instruction_tokens);
  // No table of words is carried along.
  EXPECT_FALSE(net->named_parameters().contains("model.embed_tokens.weight"));
}

}  // namespace
}  // namespace kvla

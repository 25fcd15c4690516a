// SPDX-License-Identifier: Apache-2.0
// Folders that are no SmolVLA's: what is wrong is named.
#include <gtest/gtest.h>

#include "base/files.h"
#include "base/json_text.h"
#include "policy/backbones/json_fields.h"
#include "tests/policy/backbones/smolvla/tiny_smolvla.h"
#include "tests/policy/language/byte_tokens.h"
#include "tests/scratch_dir.h"

namespace kvla {
namespace {

using Tensors = std::map<std::string, at::Tensor>;

class SmolVlaLoadTest : public testing::Test {
 protected:
  void SetUp() override {
    Copy();
    auto file = ReadSafetensors(folder_ / "model.safetensors");
    ASSERT_TRUE(file.ok());
    tensors_ = std::move(file->tensors);
  }
  void Copy() {
    std::filesystem::copy(TinySmolVla("empty_camera"), folder_.path(),
                          std::filesystem::copy_options::recursive |
                              std::filesystem::copy_options::overwrite_existing);
  }
  void Expect(const std::string& what) {
    const Status status = SmolVla::Load(folder_.path()).status();
    EXPECT_EQ(status.code(), StatusCode::kBadInput) << what;
    EXPECT_NE(status.message().find(what), std::string::npos) << status.message();
  }
  void ExpectWith(const Tensors& tensors, const std::string& what) {
    ASSERT_TRUE(WriteSafetensors(folder_ / "model.safetensors", {tensors, {}}).ok());
    Expect(what);
  }
  // A value of a JSON file at a pointer ("/a/0/b") is another one.
  void ExpectChanged(const char* file, const char* pointer, const Json& value,
                     const std::string& what) {
    SCOPED_TRACE(pointer);
    Copy();
    const Result<std::string> text = ReadFile(folder_ / file);
    ASSERT_TRUE(text.ok());
    Json json = Json::parse(*text);
    json[Json::json_pointer(pointer)] = value;
    ASSERT_TRUE(WriteFileAtomic(folder_ / file, json.dump()).ok());
    Expect(what);
  }
  ScratchDir folder_;
  Tensors tensors_;
};

TEST_F(SmolVlaLoadTest, KnowsItsSizes) {
  const auto model = SmolVla::Load(folder_.path());
  ASSERT_TRUE(model.ok()) << model.status().message();
  int64_t values = 0;
  for (const auto& [name, tensor] : tensors_) values += tensor.numel();
  EXPECT_EQ((*model)->parameters(), values);
  EXPECT_EQ((*model)->config().cross, (std::vector<bool>{false, true}));
  EXPECT_EQ((*model)->config().expert_layer, (std::vector<int>{0, -1, 1, -1}));
  EXPECT_EQ((*model)->config().cameras.size(), 3U);
  EXPECT_EQ((*model)->processors().before.max_prompt, 9);
}

TEST_F(SmolVlaLoadTest, APromptEndsInANewlineAndIsCut) {
  const auto model = SmolVla::Load(folder_.path());
  ASSERT_TRUE(model.ok()) << model.status().message();
  const auto bytes = BytePair::FromGguf({{"tokenizer.ggml.model", "gpt2"},
                                         {"tokenizer.ggml.pre", "smollm"},
                                         {"tokenizer.ggml.tokens", ByteTokens()},
                                         {"tokenizer.ggml.merges", nlohmann::json::array()}});
  ASSERT_TRUE(bytes.ok()) << bytes.status().message();
  const auto text = [&](const char* instruction) {
    return bytes->Decode((*model)->PromptIds(*bytes, instruction));
  };
  EXPECT_EQ(text("lift it"), "lift it\n");
  EXPECT_EQ(text("lift it\n"), "lift it\n");
  EXPECT_EQ(text("lift the cup"), "lift the ");  // 9 tokens
}

TEST_F(SmolVlaLoadTest, EachTensorThatIsMissingMisshapenOrOfIntegersIsNamed) {
  for (const auto& [name, tensor] : tensors_) {
    const std::string quoted = "'" + name + "'";
    Tensors other = tensors_;
    other[name] = tensor.flatten().narrow(0, 1, tensor.numel() - 1);
    ExpectWith(other, quoted + " is [");
    other[name] = tensor.to(at::kInt);
    ExpectWith(other, quoted + " has dtype I32");
    if (name.find("lm_head") != std::string::npos) continue;  // nothing uses it
    other.erase(name);
    ExpectWith(other, quoted + " is missing");
  }
}

TEST_F(SmolVlaLoadTest, WhatIsTooMuchOrNotFiniteIsNamed) {
  Tensors other = tensors_;
  other["model.vlm_with_expert.lm_expert.layers.2.mlp.up_proj.weight"] = torch::ones({2, 2});
  ExpectWith(other, "lm_expert.layers.2.mlp.up_proj.weight' has no place");
  other = tensors_;
  other["model.state_proj.bias"] = other["model.state_proj.bias"].clone();
  other["model.state_proj.bias"][3] = NAN;
  ExpectWith(other, "'model.state_proj.bias' has values that are not finite");
}

TEST_F(SmolVlaLoadTest, OlderLayoutsAreRefusedWithTheWayToMigrate) {
  Tensors other = tensors_;
  other["normalize_inputs.buffer_observation_state.mean"] = torch::ones({5});
  ExpectWith(other, "migrate_policy_normalization");
  Copy();
  std::filesystem::remove(folder_ / "policy_preprocessor.json");
  Expect("migrate_policy_normalization");
}

TEST_F(SmolVlaLoadTest, KeysOfTheConfigAreNamed) {
  const auto expect = [&](const char* pointer, const Json& value, const std::string& what) {
    ExpectChanged("config.json", pointer, value, what);
  };
  expect("/type", "act", "type");
  expect("/chunk_size", 0, "chunk_size");
  expect("/n_action_steps", 6, "n_action_steps");
  expect("/num_steps", "ten", "num_steps");
  expect("/num_vlm_layers", 18446744073709551615ULL, "num_vlm_layers");
  expect("/adapt_to_pi_aloha", true, "adapt_to_pi_aloha");
  expect("/add_image_special_tokens", true, "add_image_special_tokens");
  expect("/resize_imgs_with_padding", {64, 32}, "resize_imgs_with_padding");
  expect("/max_state_dim", 4, "max_state_dim");
  expect("/self_attn_every_n_layers", 2, "num_expert_layers");
  expect("/num_expert_layers", 3, "num_expert_layers");
  expect("/num_vlm_layers", 5, "num_vlm_layers");
  expect("/expert_width_multiplier", 0.6, "expert_width_multiplier");
  expect("/input_features/observation.state/shape", {5, 1}, "observation.state");
  expect("/output_features/action/shape", {6}, "max_action_dim");
  expect("/vlm_model_name", "HuggingFaceTB/Unknown", "HuggingFaceTB/SmolVLM2-500M");
  expect("/vlm_model_name", "HuggingFaceTB/SmolVLM2-500M-Video-Instruct",
         "resize_imgs_with_padding");
  // Sizes that contradict the weights.
  expect("/max_action_dim", 5, "model.action_in_proj.weight' is [28, 4], not [28, 5]");
  expect("/num_vlm_layers", 2, "has no place");
}

TEST_F(SmolVlaLoadTest, KeysOfTheVlmAndTheProcessorsAreNamed) {
  ExpectChanged("vlm/config.json", "/text_config/num_key_value_heads", 3, "KV heads");
  ExpectChanged("vlm/config.json", "/text_config/hidden_act", "gelu", "hidden_act");
  ExpectChanged("vlm/config.json", "/vision_config/patch_size", 7, "patch_size");
  ExpectChanged("vlm/config.json", "/scale_factor", 3, "scale_factor");
  const char *before = "policy_preprocessor.json", *after = "policy_postprocessor.json";
  ExpectChanged(before, "/steps/2/registry_name", "tokenize", "steps[2]: there is no step");
  ExpectChanged(before, "/steps/5/config/norm_map/STATE", "LOG", "LOG");
  ExpectChanged(before, "/steps/5/config/norm_map/VISUAL", "MEAN_STD", "images");
  ExpectChanged(before, "/steps/5/config/norm_map/STATE", "QUANTILES", "q01");
  ExpectChanged(before, "/steps/5/config/features/observation.state/shape", {4}, "5 numbers");
  ExpectChanged(before, "/steps/5/state_file", "absent.safetensors", "absent.safetensors");
  ExpectChanged(after, "/steps/0/state_file", "../x", "state_file");
}

}  // namespace
}  // namespace kvla

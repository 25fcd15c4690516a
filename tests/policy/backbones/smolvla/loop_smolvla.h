// SPDX-License-Identifier: Apache-2.0
// A tiny checkpoint that the suite's robot can drive: with a tokenizer and an adapter. No torch.
#ifndef KVLA_TESTS_POLICY_BACKBONES_SMOLVLA_LOOP_SMOLVLA_H_
#define KVLA_TESTS_POLICY_BACKBONES_SMOLVLA_LOOP_SMOLVLA_H_

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "base/files.h"
#include "policy/policy_source.h"

namespace kvla {

// Letters, blank and newline, one token each: what the tiny vocabulary of 97 has room for.
inline std::string LetterTokenizer() {
  nlohmann::json vocabulary = nlohmann::json::object();
  for (char c = 'a'; c <= 'z'; ++c) vocabulary[std::string(1, c)] = c - 'a';
  vocabulary["Ġ"] = 26;
  vocabulary["Ċ"] = 27;
  const nlohmann::json file = {
      {"model", {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", nlohmann::json::array()}}},
      {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", true}}}};
  return file.dump();
}

// Copies the checkpoint of two cameras, a state of 8 and an action of 7 to `to`; returns `to`.
inline std::filesystem::path MakeLoopSmolVla(const std::filesystem::path& to) {
  const std::filesystem::path from =
      std::filesystem::path(KVLA_ASSET_ROOT) / "tests/policy/backbones/smolvla/data/two_cameras";
  std::filesystem::copy(from, to, std::filesystem::copy_options::recursive);
  EXPECT_TRUE(WriteFileAtomic(to / "tokenizer.json", LetterTokenizer()).ok());
  return to;
}

inline AdapterConfig LoopAdapter() {
  AdapterConfig adapter;
  adapter.cameras.resize(2);
  adapter.cameras[0].camera = "front", adapter.cameras[1].camera = "wrist";
  for (int i = 0; i < 2; ++i) {
    AdapterCamera& camera = adapter.cameras[static_cast<size_t>(i)];
    camera.feature = "observation.images.camera" + std::to_string(i + 1);
    camera.width = 56, camera.height = 40;
  }
  adapter.state = {"position", "quaternion_wxyz", "gripper"};
  adapter.action.unit_m = 0.05, adapter.action.unit_rad = 0.5;
  adapter.replan_steps = 5;
  return adapter;
}

}  // namespace kvla

#endif  // KVLA_TESTS_POLICY_BACKBONES_SMOLVLA_LOOP_SMOLVLA_H_

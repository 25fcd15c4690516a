// SPDX-License-Identifier: Apache-2.0
// The tiny checkpoints of make_tiny_checkpoints.py, and what they were given.
#ifndef KVLA_TESTS_POLICY_BACKBONES_SMOLVLA_TINY_SMOLVLA_H_
#define KVLA_TESTS_POLICY_BACKBONES_SMOLVLA_TINY_SMOLVLA_H_

#include <filesystem>
#include <map>
#include <string>

#include "policy/backbones/smolvla/smolvla.h"
#include "tensors/safetensors.h"
#include "tensors/torch.h"

namespace kvla {

inline constexpr const char* kTinySmolVlas[] = {"two_cameras", "shards", "empty_camera"};

inline std::filesystem::path TinySmolVla(const std::string& name) {
  return std::filesystem::path(KVLA_ASSET_ROOT) / "tests/policy/backbones/smolvla/data" / name;
}

using Stages = std::map<std::string, at::Tensor>;

inline Result<Stages> TinyStages(const std::string& name) {
  Result<TensorFile> file = ReadSafetensors(TinySmolVla(name) / "stages.safetensors");
  return file.ok() ? Result<Stages>(std::move(file->tensors)) : file.status();
}

// What LeRobot was given.
inline SmolVlaInput InputOf(const Stages& stages, size_t cameras) {
  SmolVlaInput input;
  for (size_t i = 0; i < cameras; ++i) {
    const auto image = stages.find("input.image." + std::to_string(i));
    input.images.push_back(image == stages.end() ? at::Tensor() : image->second);
  }
  input.state = stages.at("input.state");
  input.noise = stages.at("input.noise");
  const at::Tensor& ids = stages.at("input.tokens");
  input.prompt.assign(ids.const_data_ptr<int64_t>(), ids.const_data_ptr<int64_t>() + ids.numel());
  return input;
}

}  // namespace kvla

#endif  // KVLA_TESTS_POLICY_BACKBONES_SMOLVLA_TINY_SMOLVLA_H_

// SPDX-License-Identifier: Apache-2.0
// Names a checkpoint by its content; without torch, for programs that only look.
#ifndef KVLA_POLICY_COMPACT_CHECKPOINT_HASH_H_
#define KVLA_POLICY_COMPACT_CHECKPOINT_HASH_H_

#include <filesystem>
#include <string>

#include "base/status.h"

namespace kvla {

// What a checkpoint's folder holds.
inline constexpr char kConfigFile[] = "config.yaml";
inline constexpr char kWeightsFile[] = "model.safetensors";

// Hash of config and weights in a checkpoint folder (16 hex digits): goes with every result.
Result<std::string> CheckpointHash(const std::filesystem::path& folder);

}  // namespace kvla

#endif  // KVLA_POLICY_COMPACT_CHECKPOINT_HASH_H_

// SPDX-License-Identifier: Apache-2.0
// Where the sentence encoder's files lie and what they are; without torch, for programs that only
// look.
#ifndef KVLA_POLICY_COMPACT_TEXT_TEXT_ENCODER_FILES_H_
#define KVLA_POLICY_COMPACT_TEXT_TEXT_ENCODER_FILES_H_

#include <filesystem>

#include "base/status.h"

namespace kvla {

inline constexpr int kTextEmbeddingSize = 384;
inline constexpr char kTextEncoderName[] = "all-MiniLM-L6-v2";
inline constexpr char kTextWeightsFile[] = "model.safetensors";
inline constexpr char kTextVocabularyFile[] = "vocab.txt";

// Where scripts/setup.sh unpacks it.
std::filesystem::path TextEncoderFolder(const std::filesystem::path& asset_root);

// BadInput when a file is missing or its content is not the published one.
Status CheckTextEncoderFiles(const std::filesystem::path& folder);

}  // namespace kvla

#endif  // KVLA_POLICY_COMPACT_TEXT_TEXT_ENCODER_FILES_H_

// SPDX-License-Identifier: Apache-2.0
// GGUF files: weights as llama.cpp and its kin quantise them. torch.
#ifndef KVLA_TENSORS_GGUF_H_
#define KVLA_TENSORS_GGUF_H_

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "base/status.h"

namespace kvla {

struct GgufFile {
  // Of a matrix [rows, columns] f32, whatever held it: blocks are put back into numbers.
  std::map<std::string, at::Tensor> tensors;
  std::map<std::string, std::string> types;  // how the file holds them: "Q4_1"
  nlohmann::json metadata;                   // an object: key -> number, text, bool or list
};

// Versions 2 and 3, little endian; types F32, F16, Q4_0, Q4_1 and Q8_0 (blocks of 32). A missing,
// truncated or malformed file, another type, or values that are not finite are kBadInput with what
// is wrong; nothing is read beyond the file's own sizes.
Result<GgufFile> ReadGguf(const std::filesystem::path& path);

}  // namespace kvla

#endif  // KVLA_TENSORS_GGUF_H_

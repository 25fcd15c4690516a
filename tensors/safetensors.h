// SPDX-License-Identifier: Apache-2.0
// Safetensors files. torch.
#ifndef KVLA_TENSORS_SAFETENSORS_H_
#define KVLA_TENSORS_SAFETENSORS_H_

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <string>

#include "base/status.h"

namespace kvla {

struct TensorFile {
  std::map<std::string, at::Tensor> tensors;  // on the CPU, contiguous, own memory
  std::map<std::string, std::string> metadata;
};

// Dtypes: F64 F32 F16 BF16 I64 I32 I16 I8 U8 BOOL. A missing, truncated or malformed file is
// kBadInput with what is wrong; nothing is read beyond the file's own sizes.
Result<TensorFile> ReadSafetensors(const std::filesystem::path& path);

// The same where the file is mapped: tensors read it in place and must not be written to. (One that
// does not lie at a multiple of its values' size is copied.)
Result<TensorFile> MapSafetensors(const std::filesystem::path& path);

// Whether a tensor can be weights: F16, BF16, F32 or F64, and every value finite as F32. BadInput
// names it and what was found.
Status CheckWeights(const std::string& name, const at::Tensor& tensor);
// ReadSafetensors(), and CheckWeights() on every tensor.
Result<TensorFile> ReadWeights(const std::filesystem::path& path);

// Writes a temporary file beside `path`, syncs it and renames it: `path` is whole or untouched.
Status WriteSafetensors(const std::filesystem::path& path, const TensorFile& file);

}  // namespace kvla

#endif  // KVLA_TENSORS_SAFETENSORS_H_

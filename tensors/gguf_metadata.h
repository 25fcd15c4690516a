// SPDX-License-Identifier: Apache-2.0
// What a GGUF file says beside its weights. No torch.
#ifndef KVLA_TENSORS_GGUF_METADATA_H_
#define KVLA_TENSORS_GGUF_METADATA_H_

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/status.h"

namespace kvla {

// As ReadGguf() has it (tensors/gguf.h), without a look at the weights: a tokenizer by itself.
Result<nlohmann::json> ReadGgufMetadata(const std::filesystem::path& path);

}  // namespace kvla

#endif  // KVLA_TENSORS_GGUF_METADATA_H_

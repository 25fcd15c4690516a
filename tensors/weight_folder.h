// SPDX-License-Identifier: Apache-2.0
// Weights of a folder as Hugging Face publishes them. torch.
#ifndef KVLA_TENSORS_WEIGHT_FOLDER_H_
#define KVLA_TENSORS_WEIGHT_FOLDER_H_

#include <filesystem>
#include <map>
#include <string>

#include "base/status.h"
#include "tensors/safetensors.h"

namespace kvla {

// Which file of the folder holds a tensor: what model.safetensors.index.json says. BadInput: it is
// no index, or names a file that is not beside it.
Result<std::map<std::string, std::string>> ParseWeightIndex(const std::string& text);

// model.safetensors, or what model.safetensors.index.json names, mapped (MapSafetensors()). Every
// tensor lies where the index says, and no other; both layouts at once are BadInput.
Result<TensorFile> MapWeightFolder(const std::filesystem::path& folder);

}  // namespace kvla

#endif  // KVLA_TENSORS_WEIGHT_FOLDER_H_

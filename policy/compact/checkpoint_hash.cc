// SPDX-License-Identifier: Apache-2.0
#include "policy/compact/checkpoint_hash.h"

#include "base/hash.h"

namespace kvla {

Result<std::string> CheckpointHash(const std::filesystem::path& folder) {
  std::string hashes;
  for (const char* name : {kConfigFile, kWeightsFile}) {
    Result<std::string> hash = HashFileHex(folder / name);
    if (!hash.ok()) return hash.status();
    hashes += *hash;
  }
  return HashHex(hashes);
}

}  // namespace kvla

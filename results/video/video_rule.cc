// SPDX-License-Identifier: Apache-2.0
#include "results/video/video_rule.h"

#include <fmt/format.h>

#include <cctype>

#include "base/files.h"
#include "base/rng.h"

namespace kvla {

bool WantsVideo(const std::string& rule, int n, int64_t index, const EpisodeEnd& end) {
  if (rule == "all") return true;
  if (rule == "failures") return !end.success;
  return rule == "first_n" && index < n;
}

std::string VideoFile(const EpisodeId& id) {
  const std::string name =
      fmt::format("{}-{}{}{}-{}", id.arm, id.task, id.delay.empty() ? "" : "-", id.delay, id.seed);
  std::string safe;
  for (const char c : name) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-';
    safe += plain ? c : '_';
  }
  // What was replaced, or a name with a dash in it, must not make two ids one file.
  const uint64_t hash =
      StableHash(fmt::format("{}\n{}\n{}\n{}", id.arm, id.task, id.delay, id.seed));
  return fmt::format("{}/{}-{:08x}.mp4", kVideoFolder, safe.substr(0, 120),
                     static_cast<uint32_t>(hash ^ (hash >> 32)));
}

Result<std::filesystem::path> VideoPath(const std::filesystem::path& folder,
                                        const std::string& name) {
  const std::filesystem::path file = folder / name;
  // Not the canonical video folder: it must not be a link that leads out either.
  const std::filesystem::path inside = CanonicalPath(folder) / kVideoFolder;
  if (CanonicalPath(file).parent_path() != inside) {
    return BadInput(fmt::format("the run in {} names the video {}, outside of its folder {}",
                                folder.string(), name, kVideoFolder));
  }
  if (!IsFile(file)) return BadInput(fmt::format("{}: no such video", file.string()));
  return file;
}

}  // namespace kvla

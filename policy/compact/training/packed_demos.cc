// SPDX-License-Identifier: Apache-2.0
#include "policy/compact/training/packed_demos.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace kvla {

Status PackedDemos::Add(DemoSource& source, const std::atomic<bool>* stop,
                        const std::function<void(int)>& on_read) {
  std::vector<DemoEpisode> read;
  for (int i = 0; i < source.size(); ++i) {
    if (stop != nullptr && *stop) return Status(StatusCode::kCancelled, "stopped while reading");
    Result<DemoEpisode> episode = source.Read(i);
    if (!episode.ok()) return episode.status();
    PackImages(&*episode);
    read.push_back(*std::move(episode));
    if (on_read) on_read(i + 1);
  }
  std::ranges::move(read, std::back_inserter(episodes_));
  return {};
}

double PackedDemos::MeanBlocks() const {
  double blocks = 0;
  for (const DemoEpisode& episode : episodes_) blocks += episode.blocks;
  return blocks / std::max<double>(1, static_cast<double>(episodes_.size()));
}

size_t PackedDemos::PackedBytes() const {
  size_t bytes = 0;
  for (const DemoEpisode& episode : episodes_) {
    for (const PackedFrames& camera : episode.packed) bytes += camera.bytes();
  }
  return bytes;
}

}  // namespace kvla

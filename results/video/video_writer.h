// SPDX-License-Identifier: Apache-2.0
// Frames to an MP4 file in memory: VP9 through libav, which browsers play.
#ifndef KVLA_RESULTS_VIDEO_VIDEO_WRITER_H_
#define KVLA_RESULTS_VIDEO_VIDEO_WRITER_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/status.h"

namespace kvla {

// For one thread. The same frames give the same bytes on one machine.
class VideoWriter {
 public:
  // `width` and `height` even. InternalError: libav lacks the encoder, or refuses.
  static Result<std::unique_ptr<VideoWriter>> Create(int width, int height, double frames_per_s,
                                                     const std::string& title);
  ~VideoWriter();
  VideoWriter(const VideoWriter&) = delete;
  VideoWriter& operator=(const VideoWriter&) = delete;

  // Row 0 is the top row; RGB8. REQUIRES: 3 * width * height bytes.
  Status Add(std::span<const uint8_t> rgb);
  // The whole file. No frame can be added after it.
  Result<std::string> Finish();

 private:
  struct Av;
  explicit VideoWriter(std::unique_ptr<Av> av);
  std::unique_ptr<Av> av_;
};

}  // namespace kvla

#endif  // KVLA_RESULTS_VIDEO_VIDEO_WRITER_H_

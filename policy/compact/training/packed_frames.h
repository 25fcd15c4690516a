// SPDX-License-Identifier: Apache-2.0
// The images of one camera over an episode, packed in memory: as they are, those of the suite's
// demonstrations take more memory than the machines have that train on them.
#ifndef KVLA_POLICY_COMPACT_TRAINING_PACKED_FRAMES_H_
#define KVLA_POLICY_COMPACT_TRAINING_PACKED_FRAMES_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace kvla {

// Frames of equal size, deflated kGroupFrames at a time, so that a few can be had without the
// rest. Copies share the bytes. Read from any number of threads.
class PackedFrames {
 public:
  // A chunk of the policy's history is this long; a sample takes whole ones.
  static constexpr int kGroupFrames = 4;

  PackedFrames() = default;
  // REQUIRES: frames.size() is a multiple of frame_bytes.
  static PackedFrames Pack(std::span<const uint8_t> frames, size_t frame_bytes);

  int frames() const { return data_ == nullptr ? 0 : data_->frames; }
  size_t frame_bytes() const { return data_ == nullptr ? 0 : data_->frame_bytes; }
  // As packed.
  size_t bytes() const { return data_ == nullptr ? 0 : data_->packed.size(); }

 private:
  friend class FrameReader;
  struct Data {
    int frames = 0;
    size_t frame_bytes = 0;
    std::vector<uint8_t> packed;
    std::vector<size_t> begins;  // of each group in `packed`, and the end
  };
  std::shared_ptr<const Data> data_;
};

// Unpacks frames, those of a group together. For one thread.
class FrameReader {
 public:
  explicit FrameReader(PackedFrames frames) : frames_(std::move(frames)) {}
  // frame_bytes() bytes, good until the next call. REQUIRES: 0 <= frame < frames().
  std::span<const uint8_t> At(int frame);

 private:
  PackedFrames frames_;
  int group_ = -1;
  std::vector<uint8_t> unpacked_;
};

}  // namespace kvla

#endif  // KVLA_POLICY_COMPACT_TRAINING_PACKED_FRAMES_H_

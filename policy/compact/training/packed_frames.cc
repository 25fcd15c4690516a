// SPDX-License-Identifier: Apache-2.0
#include "policy/compact/training/packed_frames.h"

#include <zlib.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace kvla {
namespace {

// What is packed is the change from a frame to the next, which is little: of the suite's images the
// fastest level leaves less than a tenth, and they are unpacked at 0.5 GB/s or more a core.
constexpr int kLevel = 1;
constexpr int kRawDeflate = -15;
constexpr int kMemory = 9;

void TakeOffTheFrameBefore(std::span<uint8_t> group, size_t frame_bytes) {
  for (size_t i = group.size(); i-- > frame_bytes;) {
    group[i] = static_cast<uint8_t>(group[i] - group[i - frame_bytes]);
  }
}

void AddTheFrameBefore(std::span<uint8_t> group, size_t frame_bytes) {
  for (size_t i = frame_bytes; i < group.size(); ++i) {
    group[i] = static_cast<uint8_t>(group[i] + group[i - frame_bytes]);
  }
}

}  // namespace

PackedFrames PackedFrames::Pack(std::span<const uint8_t> frames, size_t frame_bytes) {
  auto data = std::make_shared<Data>();
  data->frame_bytes = frame_bytes;
  data->frames = static_cast<int>(frames.size() / frame_bytes);
  z_stream stream{};
  if (deflateInit2(&stream, kLevel, Z_DEFLATED, kRawDeflate, kMemory, Z_DEFAULT_STRATEGY) != Z_OK) {
    throw std::bad_alloc();
  }
  const size_t group_bytes = kGroupFrames * frame_bytes;
  std::vector<uint8_t> out(deflateBound(&stream, group_bytes));
  std::vector<uint8_t> group;
  for (size_t begin = 0; begin < frames.size(); begin += group_bytes) {
    const auto part = frames.subspan(begin, std::min(group_bytes, frames.size() - begin));
    group.assign(part.begin(), part.end());
    TakeOffTheFrameBefore(group, frame_bytes);
    deflateReset(&stream);
    stream.next_in = group.data();
    stream.avail_in = static_cast<uInt>(group.size());
    stream.next_out = out.data();
    stream.avail_out = static_cast<uInt>(out.size());
    deflate(&stream, Z_FINISH);  // deflateBound() left room for all of it
    data->begins.push_back(data->packed.size());
    data->packed.insert(data->packed.end(), out.data(), stream.next_out);
  }
  deflateEnd(&stream);
  data->begins.push_back(data->packed.size());
  data->packed.shrink_to_fit();
  PackedFrames packed;
  packed.data_ = std::move(data);
  return packed;
}

std::span<const uint8_t> FrameReader::At(int frame) {
  const PackedFrames::Data& data = *frames_.data_;
  const int group = frame / PackedFrames::kGroupFrames;
  if (group != group_) {
    const int first = group * PackedFrames::kGroupFrames;
    const int count = std::min(PackedFrames::kGroupFrames, data.frames - first);
    unpacked_.resize(count * data.frame_bytes);
    z_stream stream{};
    if (inflateInit2(&stream, kRawDeflate) != Z_OK) throw std::bad_alloc();
    stream.next_in = const_cast<uint8_t*>(data.packed.data() + data.begins[group]);
    stream.avail_in = static_cast<uInt>(data.begins[group + 1] - data.begins[group]);
    stream.next_out = unpacked_.data();
    stream.avail_out = static_cast<uInt>(unpacked_.size());
    const int end = inflate(&stream, Z_FINISH);
    inflateEnd(&stream);
    if (end != Z_STREAM_END || stream.avail_out != 0) {
      throw std::runtime_error("packed images were damaged in memory");
    }
    AddTheFrameBefore(unpacked_, data.frame_bytes);
    group_ = group;
  }
  return std::span<const uint8_t>(unpacked_).subspan(
      (frame % PackedFrames::kGroupFrames) * data.frame_bytes, data.frame_bytes);
}

}  // namespace kvla

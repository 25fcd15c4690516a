// SPDX-License-Identifier: Apache-2.0
#include "kv_efficient/store/page_pool.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace kvla {

PageSlab::~PageSlab() {
  if (data_ == nullptr) return;
  pool_->Count(-committed_);
  munmap(data_, lanes_.size() * lane_bytes_);
}

Status PageSlab::Map(int lanes, int64_t lane_bytes, PagePool* pool) {
  void* data = mmap(nullptr, lanes * lane_bytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (data == MAP_FAILED) {
    return InternalError(fmt::format("cannot reserve {} bytes of address space for the cache: {}",
                                     lanes * lane_bytes, std::strerror(errno)));
  }
  // Huge pages would commit 2 MiB for the first token of a lane.
  madvise(data, lanes * lane_bytes, MADV_NOHUGEPAGE);
  data_ = data;
  lane_bytes_ = lane_bytes;
  pool_ = pool;
  lanes_.assign(lanes, {});
  return {};
}

void PageSlab::Free(int lane, int64_t first, int64_t last) {
  if (first >= last) return;
  madvise(static_cast<char*>(data_) + lane * lane_bytes_ + first * kPageBytes,
          (last - first) * kPageBytes, MADV_DONTNEED);
}

void PageSlab::SetLane(int lane, const Lane& now) {
  const int64_t change = now.pages() - lanes_[lane].pages();
  lanes_[lane] = now;
  committed_ += change;
  if (change != 0) pool_->Count(change);
}

void PageSlab::Use(int lane, int64_t low, int64_t high, int64_t end) {
  Lane now;
  now.low = (low + kPageBytes - 1) / kPageBytes;
  now.end = (end + kPageBytes - 1) / kPageBytes;
  now.high = std::clamp(high / kPageBytes, now.low, std::max(now.low, now.end));
  now.end = std::max(now.end, now.high);
  // Pages of the old state that the new one does not use.
  const Lane was = lanes_[lane];
  const auto free_outside = [&](int64_t first, int64_t last) {
    Free(lane, std::max(first, now.low), std::min(last, now.high));
    Free(lane, std::max(first, now.end), last);
  };
  free_outside(0, was.low);
  free_outside(was.high, was.end);
  SetLane(lane, now);
}

void PageSlab::Grow(int lane, int64_t end) {
  Lane now = lanes_[lane];
  now.end = std::max(now.end, (end + kPageBytes - 1) / kPageBytes);
  if (now.end != lanes_[lane].end) SetLane(lane, now);
}

int64_t PageSlab::ResidentBytes() const {
  const int64_t bytes = static_cast<int64_t>(lanes_.size()) * lane_bytes_;
  std::vector<unsigned char> resident(bytes / kPageBytes);
  if (data_ == nullptr || mincore(data_, bytes, resident.data()) != 0) return -1;
  int64_t count = 0;
  for (const unsigned char page : resident) count += page & 1;
  return count * kPageBytes;
}

}  // namespace kvla

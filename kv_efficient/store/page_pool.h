// SPDX-License-Identifier: Apache-2.0
// Address space without memory, pages that are really given back, and a count of both. No torch.
#ifndef KVLA_KV_EFFICIENT_STORE_PAGE_POOL_H_
#define KVLA_KV_EFFICIENT_STORE_PAGE_POOL_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/status.h"

namespace kvla {

inline constexpr int64_t kPageBytes = 4096;

// Pages in use over all slabs that share the pool. Not thread-safe.
class PagePool {
 public:
  int64_t committed_bytes() const { return pages_ * kPageBytes; }
  void Count(int64_t pages) { pages_ += pages; }  // negative: given back

 private:
  int64_t pages_ = 0;
};

// `lanes` runs of address space of `lane_bytes` each; a page gets memory when first written. The
// pages of a lane that stay committed are [0, low) and [high, end): the hole between has none.
class PageSlab {
 public:
  PageSlab() = default;
  ~PageSlab();
  PageSlab(const PageSlab&) = delete;
  PageSlab& operator=(const PageSlab&) = delete;

  Status Map(int lanes, int64_t lane_bytes, PagePool* pool);  // lane_bytes: whole pages
  void* data() const { return data_; }
  // States which bytes of a lane are in use, [0, low) and [high, end); frees all others.
  void Use(int lane, int64_t low, int64_t high, int64_t end);
  // Called in place of Use when only the end grew.
  void Grow(int lane, int64_t end);
  int64_t committed_bytes() const { return committed_ * kPageBytes; }
  // Resident pages as the kernel sees them (for tests): mincore over the mapping.
  int64_t ResidentBytes() const;

 private:
  struct Lane {
    int64_t low = 0, high = 0, end = 0;  // page numbers
    int64_t pages() const { return low + end - high; }
  };
  void Free(int lane, int64_t first, int64_t last);  // pages
  void SetLane(int lane, const Lane& now);

  void* data_ = nullptr;
  int64_t lane_bytes_ = 0;
  PagePool* pool_ = nullptr;
  int64_t committed_ = 0;
  std::vector<Lane> lanes_;
};

}  // namespace kvla

#endif  // KVLA_KV_EFFICIENT_STORE_PAGE_POOL_H_

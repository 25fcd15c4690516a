// SPDX-License-Identifier: Apache-2.0
// A block of threads (block_team.h) that runs on the host, thread after thread. It is stricter than
// a device: what a copy is to bring is NaN until it is waited for, and threads run in either order,
// so that code in which one reads what another writes between two barriers comes out otherwise.
#ifndef KVLA_TESTS_KV_EFFICIENT_ATTENTION_HOST_TEAM_H_
#define KVLA_TESTS_KV_EFFICIENT_ATTENTION_HOST_TEAM_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <stdexcept>
#include <vector>

#include "kv_efficient/attention/block_team.h"

namespace kvla {

template <int kThreads>
class HostTeam {
 public:
  static constexpr int kSize = kThreads;
  template <class T>
  struct Private {
    std::vector<T> of = std::vector<T>(kThreads);
  };

  HostTeam(int shared_bytes, bool backwards)
      : backwards_(backwards), bytes_(shared_bytes), shared_(shared_bytes / 16 + 1) {
    std::memset(shared_.data(), 0xFF, shared_.size() * sizeof(Quad));  // NaN, and no pointer
  }

  std::byte* shared() { return reinterpret_cast<std::byte*>(shared_.data()); }

  template <class F>
  void ForEach(const F& f) {
    for (int i = 0; i < kThreads; ++i) f(backwards_ ? kThreads - 1 - i : i);
  }
  template <class T, class F>
  void ForEach(Private<T>& mine, const F& f) {
    ForEach([&](int rank) { f(rank, mine.of[rank]); });
  }

  template <class T, class F>
  void WarpMax(Private<T>& mine, const F& f) {
    Reduce(mine, f, [](float a, float b) { return fmaxf(a, b); });
  }
  template <class T, class F>
  void WarpSum(Private<T>& mine, const F& f) {
    Reduce(mine, f, [](float a, float b) { return a + b; });
  }

  template <class F>
  void CopyGroup(const F& f) {
    groups_.emplace_back();
    ForEach(f);
  }
  template <int kBytes>
  void Copy(void* to, const void* from) {
    const int64_t at = static_cast<std::byte*>(to) - shared();
    if (at < 0 || at + kBytes > bytes_ || at % kBytes != 0 ||
        reinterpret_cast<uintptr_t>(from) % kBytes != 0) {
      throw std::out_of_range("a copy that no device would take");
    }
    std::memset(to, 0xFF, kBytes);
    groups_.back().push_back({to, from, kBytes});
  }
  template <int kGroups>
  void WaitAllBut() {
    for (; groups_.size() > kGroups; groups_.pop_front()) {
      for (const Pending& copy : groups_.front()) std::memcpy(copy.to, copy.from, copy.bytes);
    }
  }

 private:
  struct Pending {
    void* to;
    const void* from;
    int bytes;
  };

  // The device's tree: both halves of each distance.
  template <class T, class F, class Op>
  void Reduce(Private<T>& mine, const F& f, const Op& op) {
    for (int warp = 0; warp < kThreads; warp += kWarpSize) {
      for (int distance = kWarpSize / 2; distance > 0; distance /= 2) {
        float now[kWarpSize];
        for (int i = 0; i < kWarpSize; ++i) now[i] = f(mine.of[warp + i]);
        for (int i = 0; i < kWarpSize; ++i) f(mine.of[warp + i]) = op(now[i], now[i ^ distance]);
      }
    }
  }

  bool backwards_;
  int bytes_;
  std::vector<Quad> shared_;
  std::deque<std::vector<Pending>> groups_;
};

}  // namespace kvla

#endif  // KVLA_TESTS_KV_EFFICIENT_ATTENTION_HOST_TEAM_H_

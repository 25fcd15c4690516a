// SPDX-License-Identifier: Apache-2.0
// What is written over a Team runs as a block of threads on a CUDA device (cuda/device_team.h) and,
// thread after thread, on the host (tests/kv_efficient/attention/host_team.h). A Team has
//
//   kSize                       threads, a multiple of kWarpSize
//   shared()                    its shared memory, at 16 bytes
//   Private<T>                  a T of each thread: registers on a device
//   ForEach([private,] f)       f(rank[, its T&]) of each thread, then a barrier: no thread may
//   read
//                               in a ForEach what another writes in it
//   WarpMax/WarpSum(private, f) the float& that f(T&) gives becomes that of its warp
//   CopyGroup(f)                f(rank) of each thread; what it copies by Copy<kBytes>(to shared,
//   from)
//                               (4 or 16 bytes, as aligned) arrives by a WaitAllBut
//   WaitAllBut<kGroups>()       until all copy groups but the last few have arrived, for all
//   threads
//
// Code between those runs in every thread alike: it may look at the job, not at shared memory.
#ifndef KVLA_KV_EFFICIENT_ATTENTION_BLOCK_TEAM_H_
#define KVLA_KV_EFFICIENT_ATTENTION_BLOCK_TEAM_H_

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "kv_efficient/kv_format.h"

// The only macros of the tree: what nvcc compiles for a device has to say so, and loops over what
// lies in registers have to be unrolled.
#ifdef __CUDACC__
#define KVLA_DEVICE __device__
#define KVLA_UNROLL _Pragma("unroll")
#else
#define KVLA_DEVICE
#define KVLA_UNROLL
#endif

namespace kvla {

inline constexpr int kWarpSize = 32;

struct alignas(16) Quad {
  float at[4];
};

// From an address that is a multiple of T's size: one instruction on a device.
template <class T>
KVLA_DEVICE T LoadAligned(const void* from) {
#ifdef __CUDACC__
  return *static_cast<const T*>(from);
#else
  T value;
  memcpy(&value, from, sizeof(T));
  return value;
#endif
}

// Codes as they lie in memory, not yet scaled.
template <KvFormat kFormat, int kCodes>
struct alignas(kCodes* BitsOf(kFormat) / 8) Codes {
  using Word = std::conditional_t<kCodes * BitsOf(kFormat) == 16, uint16_t, uint32_t>;
  static constexpr int kInWord = 8 * static_cast<int>(sizeof(Word)) / BitsOf(kFormat);
  KVLA_DEVICE float At(int i) const { return CodeOf<kFormat>(word[i / kInWord], i % kInWord); }
  Word word[kCodes / kInWord];
};

// How threads share out a matrix: each keeps to one column, and as many rows as fit are done at a
// time, so that neighbours touch neighbouring addresses. Those left over have no row.
struct Strip {
  KVLA_DEVICE Strip(int rank, int threads, int columns)
      : column(rank % columns),
        first(rank / columns),
        step(threads / columns),
        idle(first >= step) {}
  int column, first, step;
  bool idle;
};

}  // namespace kvla

#endif  // KVLA_KV_EFFICIENT_ATTENTION_BLOCK_TEAM_H_

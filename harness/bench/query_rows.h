// SPDX-License-Identifier: Apache-2.0
// Into how many calls a bench parts its queries. No torch.
#ifndef KVLA_HARNESS_BENCH_QUERY_ROWS_H_
#define KVLA_HARNESS_BENCH_QUERY_ROWS_H_

#include <algorithm>

namespace kvla {

// Of one KV head's queries in one call: as much again is written, and both should stay in a core's
// own cache beside the keys. All of pi0's block (4,096 rows of 256) does not, and then takes 1 to
// 1.8 times as long, by where the memory happens to lie.
inline constexpr int kMostQueryBytes = 132 << 10;

// Tokens of one call, where each has `group` rows.
constexpr int TokensOfCall(int group, int head_dim) {
  return std::max(1, kMostQueryBytes / static_cast<int>(sizeof(float)) / head_dim / group);
}

}  // namespace kvla

#endif  // KVLA_HARNESS_BENCH_QUERY_ROWS_H_

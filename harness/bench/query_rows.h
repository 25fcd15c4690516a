// SPDX-License-Identifier: Apache-2.0
// Into how many calls a bench parts its queries. No torch.
#ifndef KVLA_HARNESS_BENCH_QUERY_ROWS_H_
#define KVLA_HARNESS_BENCH_QUERY_ROWS_H_

#include <algorithm>

namespace kvla {

// Rows of a KV head that are asked in one call. A row's values lie as far apart as there are rows:
// 4,096 of them (pi0's block) are 16 KiB, which fall into so few sets of a cache that time doubles
// or not by where the memory happens to lie.
inline constexpr int kMostQueryRows = 480;

// Tokens of one call, where each has `group` rows.
constexpr int TokensOfCall(int group) { return std::max(1, kMostQueryRows / group); }

}  // namespace kvla

#endif  // KVLA_HARNESS_BENCH_QUERY_ROWS_H_

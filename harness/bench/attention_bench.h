// SPDX-License-Identifier: Apache-2.0
// Ragged attention against LibTorch's fused attention and against the machine. No torch in here.
#ifndef KVLA_HARNESS_BENCH_ATTENTION_BENCH_H_
#define KVLA_HARNESS_BENCH_ATTENTION_BENCH_H_

#include <vector>

#include "base/status.h"
#include "harness/bench/machine_limits.h"

namespace kvla {

// The defaults are the shape of the shipped suite's policy.
struct AttentionBenchOptions {
  std::vector<int> tokens;  // cached ones, of a lane
  int kv_heads = 2;
  int rows = 16;  // of a lane: the query heads of its group x the tokens of a block
  int head_dim = 32;
  double seconds = 10;
};

// A row for each number of tokens and each vector width. LibTorch attends over the same keys and
// values as contiguous tensors, in one call for all lanes; ragged lanes hold half as many and half
// as many again. BadInput: keys and values that take more than 4 GiB.
Result<BenchReport> BenchAttention(const AttentionBenchOptions& options);

}  // namespace kvla

#endif  // KVLA_HARNESS_BENCH_ATTENTION_BENCH_H_

// SPDX-License-Identifier: Apache-2.0
// The rules by which the cost model tells time. No torch.
#ifndef KVLA_KV_EFFICIENT_PASS_SECONDS_H_
#define KVLA_KV_EFFICIENT_PASS_SECONDS_H_

#include <algorithm>

namespace kvla {

// Seconds of a pass: of its arithmetic or of what it reads, whichever takes longer (the roofline:
// Williams, Waterman and Patterson, CACM 52(4), 2009).
inline double PassSeconds(double flops, double bytes, double flops_per_s, double bytes_per_s) {
  return std::max(flops / flops_per_s, bytes / bytes_per_s);
}

// Seconds of a product of matrices on a CPU, whose libraries copy the weights into the order that
// they are multiplied in before they multiply: neither hides the other.
inline double ProductSeconds(double flops, double weight_bytes, double flops_per_s,
                             double bytes_per_s) {
  return flops / flops_per_s + weight_bytes / bytes_per_s;
}

}  // namespace kvla

#endif  // KVLA_KV_EFFICIENT_PASS_SECONDS_H_

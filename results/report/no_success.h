// SPDX-License-Identifier: Apache-2.0
// Runs of a policy that nobody trained: what they cost is true, their outcomes mean nothing.
#ifndef KVLA_RESULTS_REPORT_NO_SUCCESS_H_
#define KVLA_RESULTS_REPORT_NO_SUCCESS_H_

#include "results/store/run_store.h"

namespace kvla {

// In a run's meta.
inline constexpr char kWeightsKey[] = "weights";
inline constexpr char kRandomWeights[] = "random";
// What stands in the place of every rate.
inline constexpr char kNoSuccess[] = "random weights: no success";
// The outcome of their episodes but errors.
inline constexpr char kEnded[] = "ended";

inline bool HasRandomWeights(const RunMeta& meta) {
  const auto found = meta.find(kWeightsKey);
  return found != meta.end() && found->second == kRandomWeights;
}

}  // namespace kvla

#endif  // KVLA_RESULTS_REPORT_NO_SUCCESS_H_

// SPDX-License-Identifier: Apache-2.0
// Numbers as the reports' JSON has them: what there is no data for is null, and so are
// the bounds of a mean whose sample has no spread.
#ifndef KVLA_RESULTS_REPORT_JSON_VALUES_H_
#define KVLA_RESULTS_REPORT_JSON_VALUES_H_

#include <cmath>
#include <nlohmann/json.hpp>
#include <string>

#include "results/statistics/episode_costs.h"
#include "results/statistics/statistics.h"

namespace kvla {

inline nlohmann::json JsonNumber(double value) {
  return std::isfinite(value) ? nlohmann::json(value) : nlohmann::json(nullptr);
}

inline nlohmann::json JsonInterval(const Interval& i) {
  return {{"value", JsonNumber(i.value)}, {"low", JsonNumber(i.low)}, {"high", JsonNumber(i.high)}};
}

inline nlohmann::json JsonRate(const Interval& i) {
  return {{"rate", JsonNumber(i.value)}, {"low", JsonNumber(i.low)}, {"high", JsonNumber(i.high)}};
}

// Ratios of sums; "kv_bytes_ratio_of_cells" is the mean of the cells' own.
inline nlohmann::json RatiosJson(const CostRatios& r) {
  return {{"kv_bytes_ratio", JsonInterval(r.kv_bytes)},
          {"kv_bytes_ratio_of_cells", JsonNumber(r.kv_bytes_of_cells)},
          {"kv_attending_ratio", JsonInterval(r.attending_bytes)},
          {"flops_ratio", JsonInterval(r.flops)},
          {"decoder_ratio", JsonInterval(r.decoder_last10)},
          {"latency_last10_ratio", JsonInterval(r.latency_last10)},
          {"latency_ratio", JsonInterval(r.latency)}};
}

// Of WhyNotComparable().
inline nlohmann::json LatencyJson(const std::string& why_not) {
  nlohmann::json out = {{"comparable", why_not.empty()}, {"why_not", nullptr}};
  if (!why_not.empty()) out["why_not"] = why_not;
  return out;
}

}  // namespace kvla

#endif  // KVLA_RESULTS_REPORT_JSON_VALUES_H_

// SPDX-License-Identifier: Apache-2.0
// What the inferences of an episode cost, and what an arm costs beside another on the same
// episodes.
//
// One rule for every average of costs: an episode's cost is the mean over its inferences, a cell's
// (a task at a delay) the mean over its episodes; a ratio is one of sums, over the same episodes of
// both arms, and over several cells of the cells' means.
#ifndef KVLA_RESULTS_STATISTICS_EPISODE_COSTS_H_
#define KVLA_RESULTS_STATISTICS_EPISODE_COSTS_H_

#include <array>
#include <cstddef>
#include <span>
#include <vector>

#include "results/statistics/statistics.h"
#include "results/trace/trace.h"

namespace kvla {

inline constexpr size_t kLatencyParts = 7;
inline constexpr const char* kLatencyPartNames[kLatencyParts] = {
    "render", "encode", "linear", "attend", "gate", "compact", "act"};
// In the order of the names.
std::array<double, kLatencyParts> PartsOf(const LatencyParts& latency);

// The inferences of an episode that "the last 10%" means: rounded up, at least one.
std::span<const InferenceEvent> LastTenth(std::span<const InferenceEvent> events);

// Costs of one episode, or of a cell. NaN without an inference, and bytes that a run did not
// record.
struct Costs {
  double latency_ms = 0;                           // of whole inferences
  double latency_last10_ms = 0;                    // of those of the last 10%
  double decoder_last10_ms = 0;                    // linear, attend, gate, compact; likewise
  std::array<double, kLatencyParts> parts_ms{};    // by part
  double kv_bytes = 0, kv_bytes_peak = 0;          // live, after the inference
  double attending_bytes = 0, attending_peak = 0;  // live while it attends
  double committed_peak = 0;                       // of pages
  double transient_peak = 0;                       // temporaries of cache and gate
  double method_bytes = 0;                         // the method's own, its largest
  double flops = 0, flops_last = 0;                // an inference; the last one
  double tokens_last = 0;                          // cached at the end
};
Costs CostsOf(std::span<const InferenceEvent> events);

// The mean over episodes of each, but the largest of peaks. Episodes without an inference are left
// out.
Costs MeanCosts(std::span<const Costs> episodes);

// Costs of arm (a) and reference (b) on the same episodes of one cell.
struct CostPairs {
  PairedSample kv_bytes, attending_bytes, flops, latency, latency_last10, decoder_last10;
  void Add(const Costs& a, const Costs& b);  // nothing where either has no inference
};

// Arm / reference.
struct CostRatios {
  Interval kv_bytes, attending_bytes, flops, latency, latency_last10, decoder_last10;
  double kv_bytes_of_cells =
      0;  // the mean of the cells' own ratios, where small cells count equally
};
CostRatios RatiosOf(std::span<const CostPairs> cells);

}  // namespace kvla

#endif  // KVLA_RESULTS_STATISTICS_EPISODE_COSTS_H_

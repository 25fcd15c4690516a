// SPDX-License-Identifier: Apache-2.0
#include "results/statistics/episode_costs.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>

#include "base/rng.h"

namespace kvla {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// Means over inferences, or over episodes.
constexpr double Costs::*kMeans[] = {&Costs::latency_ms,        &Costs::latency_last10_ms,
                                     &Costs::decoder_last10_ms, &Costs::kv_bytes,
                                     &Costs::attending_bytes,   &Costs::flops,
                                     &Costs::flops_last,        &Costs::tokens_last};
constexpr double Costs::*kPeaks[] = {&Costs::kv_bytes_peak, &Costs::attending_peak,
                                     &Costs::committed_peak, &Costs::transient_peak,
                                     &Costs::method_bytes};

Costs NoCosts() {
  Costs none;
  for (double Costs::*const member : kMeans) none.*member = kNan;
  for (double Costs::*const member : kPeaks) none.*member = kNan;
  none.parts_ms.fill(kNan);
  return none;
}

// The mean and the largest of one value of the events, over those that have it.
template <class F>
double MeanOf(std::span<const InferenceEvent> events, F value) {
  double sum = 0, n = 0;
  for (const InferenceEvent& e : events) {
    const double v = value(e);
    if (std::isnan(v)) continue;
    sum += v;
    ++n;
  }
  return sum / n;
}
template <class F>
double PeakOf(std::span<const InferenceEvent> events, F value) {
  double peak = kNan;
  for (const InferenceEvent& e : events) peak = std::fmax(peak, value(e));
  return peak;
}

double Number(int64_t bytes) { return static_cast<double>(bytes); }
double Number(const std::optional<int64_t>& bytes) { return bytes ? Number(*bytes) : kNan; }

}  // namespace

std::array<double, kLatencyParts> PartsOf(const LatencyParts& l) {
  return {l.render_ms, l.encode_ms, l.linear_ms, l.attend_ms, l.gate_ms, l.compact_ms, l.act_ms};
}

std::span<const InferenceEvent> LastTenth(std::span<const InferenceEvent> events) {
  return events.last((events.size() + 9) / 10);
}

Costs CostsOf(std::span<const InferenceEvent> events) {
  if (events.empty()) return NoCosts();
  const auto total = [](const InferenceEvent& e) { return e.cost.latency.total_ms(); };
  const auto tail = LastTenth(events);
  Costs c;
  c.latency_ms = MeanOf(events, total);
  c.latency_last10_ms = MeanOf(tail, total);
  c.decoder_last10_ms = MeanOf(tail, [](const auto& e) { return e.cost.latency.decoder_ms(); });
  for (size_t p = 0; p < kLatencyParts; ++p) {
    c.parts_ms[p] = MeanOf(events, [p](const auto& e) { return PartsOf(e.cost.latency)[p]; });
  }
  const auto live = [](const InferenceEvent& e) { return Number(e.cost.kv_live_bytes); };
  const auto attending = [](const InferenceEvent& e) { return Number(e.cost.kv_attending_bytes); };
  c.kv_bytes = MeanOf(events, live);
  c.kv_bytes_peak = PeakOf(events, live);
  c.attending_bytes = MeanOf(events, attending);
  c.attending_peak = PeakOf(events, attending);
  c.committed_peak =
      PeakOf(events, [](const auto& e) { return Number(e.cost.kv_committed_bytes); });
  c.transient_peak =
      PeakOf(events, [](const auto& e) { return Number(e.cost.kv_transient_bytes); });
  c.method_bytes = PeakOf(events, [](const auto& e) { return Number(e.cost.method_bytes); });
  c.flops = MeanOf(events, [](const auto& e) { return e.cost.flops; });
  c.flops_last = events.back().cost.flops;
  c.tokens_last = events.back().cost.cached_tokens;
  return c;
}

Costs MeanCosts(std::span<const Costs> episodes) {
  Costs out;
  double n = 0;
  for (const Costs& e : episodes) {
    if (std::isnan(e.latency_ms)) continue;
    ++n;
    for (double Costs::*const member : kMeans) out.*member += e.*member;
    for (double Costs::*const member : kPeaks) {
      // NaN, not recorded, stays NaN.
      if (std::isnan(e.*member) || e.*member > out.*member) out.*member = e.*member;
    }
    for (size_t p = 0; p < kLatencyParts; ++p) out.parts_ms[p] += e.parts_ms[p];
  }
  if (n == 0) return NoCosts();
  for (double Costs::*const member : kMeans) out.*member /= n;
  for (double& part : out.parts_ms) part /= n;
  return out;
}

void CostPairs::Add(const Costs& a, const Costs& b) {
  if (std::isnan(a.latency_ms) || std::isnan(b.latency_ms)) return;
  const auto add = [&](double Costs::*member, PairedSample* sample) {
    sample->a.push_back(a.*member);
    sample->b.push_back(b.*member);
  };
  add(&Costs::kv_bytes, &kv_bytes);
  add(&Costs::attending_bytes, &attending_bytes);
  add(&Costs::flops, &flops);
  add(&Costs::latency_ms, &latency);
  add(&Costs::latency_last10_ms, &latency_last10);
  add(&Costs::decoder_last10_ms, &decoder_last10);
}

CostRatios RatiosOf(std::span<const CostPairs> cells) {
  const auto ratio = [&](PairedSample CostPairs::*member) {
    std::vector<PairedSample> strata;
    for (const CostPairs& cell : cells) strata.push_back(cell.*member);
    // A fixed stream: the same episodes give the same interval.
    return BootstrapRatio(strata, Rng(StableHash("ratio")));
  };
  std::vector<double> of_cells;
  for (const CostPairs& cell : cells) {
    of_cells.push_back(Mean(cell.kv_bytes.a) / Mean(cell.kv_bytes.b));
  }
  return {ratio(&CostPairs::kv_bytes),
          ratio(&CostPairs::attending_bytes),
          ratio(&CostPairs::flops),
          ratio(&CostPairs::latency),
          ratio(&CostPairs::latency_last10),
          ratio(&CostPairs::decoder_last10),
          Mean(of_cells)};
}

}  // namespace kvla

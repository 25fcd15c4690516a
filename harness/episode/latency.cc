// SPDX-License-Identifier: Apache-2.0
#include "harness/episode/latency.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "base/text.h"
#include "results/statistics/statistics.h"
#include "results/store/run_store.h"

namespace kvla {

Status ValidateClock(const ClockConfig& c) {
  const ClockConfig d;
  const bool simulated = c.kind == "simulated";
  const auto unread = [&](bool changed, const char* key, bool read, const char* reader) {
    if (!changed || read) return Status();
    return BadInput(
        fmt::format("clock: '{}' is not read here (read by {}); remove it", key, reader));
  };
  for (const Status& status :
       {unread(c.control_rate_hz != d.control_rate_hz, "control_rate_hz", c.kind != "frozen",
               "kind simulated and wall"),
        unread(c.latency != d.latency, "latency", simulated, "kind simulated"),
        unread(c.constant_ms != d.constant_ms, "constant_ms", simulated && c.latency == "constant",
               "kind simulated with latency constant"),
        unread(!c.recorded.empty(), "recorded", simulated && c.latency == "recorded",
               "kind simulated with latency recorded"),
        unread(!c.recorded_arm.empty(), "recorded_arm", simulated && c.latency == "recorded",
               "kind simulated with latency recorded")}) {
    if (!status.ok()) return status;
  }
  if (simulated && c.latency == "recorded" && c.recorded.empty()) {
    return BadInput("clock: latency 'recorded' needs 'recorded', the folder of a run");
  }
  return {};
}

Result<std::vector<double>> RecordedLatency(const std::filesystem::path& folder,
                                            const std::string& arm) {
  const Result<RunStore> store = RunStore::Open(folder, RunStore::Mode::kReadOnly);
  if (!store.ok()) return store.status();
  std::vector<std::vector<double>> by_index;
  std::set<std::string> arms;
  const Status status = store->ForEachInferences(
      [&](const EpisodeId& id, const std::vector<InferenceEvent>& inferences) {
        arms.insert(id.arm);
        if (id.arm != arm) return;
        by_index.resize(std::max(by_index.size(), inferences.size()));
        for (size_t i = 0; i < inferences.size(); ++i) {
          const LatencyParts& parts = inferences[i].cost.latency;
          by_index[i].push_back(parts.total_ms() - parts.render_ms);
        }
      });
  if (!status.ok()) return status;
  if (by_index.empty()) {
    return BadInput(fmt::format("{}: no inference of an arm '{}' is recorded there{}",
                                folder.string(), arm, DidYouMean(arm, {arms.begin(), arms.end()})));
  }
  std::vector<double> medians;
  for (const std::vector<double>& values : by_index) medians.push_back(Quantile(values, 0.5));
  return medians;
}

LatencyModel::LatencyModel(ClockConfig config, std::vector<double> recorded_ms, VlaCost vla,
                           int tokens_per_block, std::optional<BlockSchedule> gated)
    : config_(std::move(config)),
      recorded_ms_(std::move(recorded_ms)),
      vla_(vla),
      tokens_per_block_(tokens_per_block),
      gated_(gated) {}

double LatencyModel::Seconds(int index, int attended_tokens) const {
  if (config_.latency == "cost_model") {
    const double blocks = attended_tokens / tokens_per_block_;
    const bool leaves =
        gated_.has_value() && gated_->LeftChunks(index + 1) > gated_->LeftChunks(index);
    return InferenceSeconds(vla_, blocks * vla_.tokens_per_block,
                            leaves ? gated_->chunk_blocks * vla_.tokens_per_block : 0);
  }
  if (config_.latency == "recorded" && !recorded_ms_.empty()) {
    // An episode may be longer than any that was recorded.
    const size_t at = std::min(static_cast<size_t>(index), recorded_ms_.size() - 1);
    return recorded_ms_[at] / 1e3;
  }
  return config_.constant_ms / 1e3;
}

}  // namespace kvla

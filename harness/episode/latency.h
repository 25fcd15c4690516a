// SPDX-License-Identifier: Apache-2.0
// How long a policy thinks, as an arm's clock has it.
#ifndef KVLA_HARNESS_EPISODE_LATENCY_H_
#define KVLA_HARNESS_EPISODE_LATENCY_H_

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/config_fields.h"
#include "base/status.h"
#include "kv_efficient/cost_model.h"
#include "kv_efficient/schedule.h"
#include "sim/clock.h"
#include "sim/specs.h"

namespace kvla {

// The clock of one arm. While the policy thinks, the arm holds the last target that it was given.
struct ClockConfig {
  std::string kind = "frozen";
  double control_rate_hz = kControlRateHz;
  std::string latency = "constant";
  double constant_ms = 0;
  std::string recorded;
  std::string recorded_arm;

  template <class V>
  void Fields(V& v) {
    v("kind", kind, OneOf{"frozen", "simulated", "wall"},
      "frozen: the world waits for the policy; simulated: it goes on for 'latency'; wall: it goes "
      "on for as long as the policy takes on this machine (rendering apart)");
    v("control_rate_hz", control_rate_hz, Range{0.01, 10000},
      "control steps the world makes in a second of thinking; 20 is real time, 40 a robot twice as "
      "fast (simulated, wall)");
    v("latency", latency, OneOf{"constant", "recorded", "cost_model"},
      "where the seconds come from: 'constant_ms', a run's measured times, or the run's 'vla' at "
      "the tokens that attention meets (simulated)");
    v("constant_ms", constant_ms, Range{0, 1e6}, "milliseconds of every inference (constant)");
    v("recorded", recorded, "folder of the run whose measured times are taken (recorded)");
    v("recorded_arm", recorded_arm, "its arm; empty: the one of the same name (recorded)");
  }
};

// Contradictions, and settings that the kind does not read, are BadInput.
Status ValidateClock(const ClockConfig& config);

// Milliseconds of the i-th inference, rendering apart: the median over the episodes of `arm` in the
// run in `folder`. BadInput when there is no such run, arm or inference.
Result<std::vector<double>> RecordedLatency(const std::filesystem::path& folder,
                                            const std::string& arm);

// Gives the seconds of each inference under the simulated clock.
class LatencyModel {
 public:
  // `recorded_ms` of RecordedLatency(), empty unless the config asks for it. `tokens_per_block` of
  // the policy that runs: its attended tokens are scaled to the blocks of `vla`. `gated`: when
  // chunks leave, for an arm whose gate reads them then.
  LatencyModel(ClockConfig config, std::vector<double> recorded_ms, VlaCost vla,
               int tokens_per_block, std::optional<BlockSchedule> gated);

  double Seconds(int index, int attended_tokens) const;

 private:
  ClockConfig config_;
  std::vector<double> recorded_ms_;
  VlaCost vla_;
  double tokens_per_block_;
  std::optional<BlockSchedule> gated_;
};

}  // namespace kvla

#endif  // KVLA_HARNESS_EPISODE_LATENCY_H_

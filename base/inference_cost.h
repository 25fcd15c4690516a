// SPDX-License-Identifier: Apache-2.0
// What one inference of a policy costs: the one struct that cache, policy, trace and viewer hold.
#ifndef KVLA_BASE_INFERENCE_COST_H_
#define KVLA_BASE_INFERENCE_COST_H_

#include <cstdint>
#include <optional>

namespace kvla {

// Wall-clock milliseconds by part.
struct LatencyParts {
  double render_ms = 0;   // the cameras' images, by the simulation
  double encode_ms = 0;   // images and state to tokens
  double linear_ms = 0;   // the decoder without its attention
  double attend_ms = 0;   // rotate, append, attention (CUDA: time to launch)
  double gate_ms = 0;     // the cache method's own planning
  double compact_ms = 0;  // turning back, summaries, moves, pages
  double act_ms = 0;      // heads

  double decoder_ms() const { return linear_ms + attend_ms + gate_ms + compact_ms; }
  double total_ms() const { return render_ms + encode_ms + decoder_ms() + act_ms; }
};

// Figures that a run from before they were kept does not know are absent.
struct InferenceCost {
  LatencyParts latency;
  // Bytes (docs/runs.md, "What an inference costs").
  int64_t kv_live_bytes = 0;                  // keys and values held after it
  std::optional<int64_t> kv_attending_bytes;  // ... while attending, the leaving chunk included
  std::optional<int64_t> kv_committed_bytes;  // most pages held in it (CUDA: whole tensors)
  int64_t kv_transient_bytes = 0;             // largest temporary of planning and applying
  std::optional<int64_t> method_bytes;        // the cache method's own: weights, state, tables
  int cached_tokens = 0;                      // held after it; mean over lanes, rounded up
  int attended_tokens = 0;                    // keys each query met; mean over lanes. Not stored
  double flops = 0;                           // from the cost model, the method's own included
};

}  // namespace kvla

#endif  // KVLA_BASE_INFERENCE_COST_H_

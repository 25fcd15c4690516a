// SPDX-License-Identifier: Apache-2.0
// Made-up episodes for the tests of results/.
#ifndef KVLA_TESTS_RESULTS_RECORD_UTIL_H_
#define KVLA_TESTS_RESULTS_RECORD_UTIL_H_

#include "base/hash.h"
#include "base/rng.h"
#include "results/trace/trace.h"
#include "tests/scratch_dir.h"

namespace kvla {

// Floats, so that a value is the same once stored.
inline double Milliseconds(Rng* rng) { return static_cast<float>(rng->Uniform(0.1, 5)); }

inline EpisodeRecord MakeRecord(const EpisodeId& id, int inferences = 5, bool success = true) {
  Rng rng(StableHash(ToString(id)));
  EpisodeRecord r;
  r.begin.id = id;
  r.begin.split = "evaluation";
  r.begin.run_seed = 18446744073709551615u;
  r.begin.instruction = "press the button of the cued colour";
  r.begin.scene = "tasks/recall_color/scene.xml";
  r.begin.cache_policy = id.arm;
  r.begin.horizon_steps = inferences * 4;
  r.begin.tokens_per_block = 8;
  r.begin.chunk_blocks = 4;
  r.begin.window_blocks = 16;
  r.begin.instruction_tokens = 9;
  r.begin.chance = 0.25;
  r.begin.stages = {{"place", false}, {"press", true}};
  r.begin.cues = {{4.25, 4.75}};
  for (int i = 0; i < inferences; ++i) {
    InferenceEvent e;
    e.index = i;
    e.control_step = 4 * i;
    e.time_s = 0.2 * i;
    e.cost.latency = {Milliseconds(&rng), Milliseconds(&rng), Milliseconds(&rng),
                      Milliseconds(&rng), Milliseconds(&rng), Milliseconds(&rng),
                      Milliseconds(&rng)};
    e.cost.kv_live_bytes = 4096 * (i + 1);
    e.cost.kv_attending_bytes = 4096 * (i + 2);
    e.cost.kv_committed_bytes = 65536;
    if (i != 3) e.cost.method_bytes = 1000 + i;
    e.cost.kv_transient_bytes = i % 2 == 0 ? 512 : 0;
    e.cost.cached_tokens = 9 + 8 * (i + 1);
    e.cost.flops = 1e6 * (i + 1) + 0.5;
    if (i % 2 == 1) e.changes = {{i / 2, ChunkAction::kCompressed, 0.75f, ReasonCode::kSink}};
    for (int k = 0; k < 28; ++k) e.action_chunk.push_back(static_cast<float>(rng.Normal()));
    r.inferences.push_back(e);
    for (int s = 0; s < 4; ++s) {
      StepEvent step;
      step.control_step = 4 * i + s;
      for (float& value : step.action) value = static_cast<float>(rng.Normal());
      step.state = {rng.Normal(), rng.Normal(), 1.0 / 3};
      step.stages = {i > 2, false};
      r.steps.push_back(step);
    }
  }
  r.end.id = id;
  r.end.outcome = success ? "success" : "failure";
  r.end.success = success;
  r.end.progress = success ? 1 : 0.5;
  r.end.decisive_reached = true;
  r.end.decisive_right = success;
  r.end.motor_ok = true;
  r.end.steps = 4 * inferences;
  r.end.state_hash = Hex64(rng.NextU64());
  r.end.stages = {true, success};
  r.end.wall_s = 1.5;
  return r;
}

}  // namespace kvla

#endif  // KVLA_TESTS_RESULTS_RECORD_UTIL_H_

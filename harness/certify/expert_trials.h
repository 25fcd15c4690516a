// SPDX-License-Identifier: Apache-2.0
// Is a task what it claims to be? The expert with the cue must solve it, the expert without must
// be at chance. No rendering.
#ifndef KVLA_HARNESS_CERTIFY_EXPERT_TRIALS_H_
#define KVLA_HARNESS_CERTIFY_EXPERT_TRIALS_H_

#include <cstdint>
#include <functional>
#include <string>

#include "base/status.h"
#include "tasks/disturbance.h"
#include "tasks/task.h"

namespace kvla {

struct CertifyOptions {
  int episodes = 100;      // with the expert
  int blind_episodes = 0;  // with the blind expert; 0: BlindEpisodesFor()
  uint64_t run_seed = 0;
  // The expert, which sees the world's state, meets only the knocks.
  DisturbanceLevel disturbance = DisturbanceLevel::kNone;
  int threads = 1;  // changes nothing but the time
};

struct CertifyResult {
  int episodes = 0;
  int expert_success = 0;
  int blind_episodes = 0;
  int blind_success = 0;
  int blind_decided = 0;  // blind episodes that reached the decisive stage
  int blind_right = 0;    // and decided right
  int errors = 0;         // diverged episodes
  int64_t expert_steps = 0;
};

// How far above chance the upper 95% bound of the blind expert's rate may lie.
inline constexpr double kAboveChance = 0.10;

// Episodes after which an expert that is exactly at chance has its upper 95% bound below
// chance + kAboveChance in all but one of a thousand cases; 100 are half of the time too few.
int BlindEpisodesFor(double chance, int at_least);

// Runs episodes of the validation split with the expert, then with the blind expert, which a
// control task does not need: there none are run unless asked for.
// `progress(done, total)` may be empty, is called by one thread at a time; returning false from it
// cancels.
Result<CertifyResult> Certify(const Task& task, const std::string& delay,
                              const CertifyOptions& options,
                              const std::function<bool(int, int)>& progress = {});

}  // namespace kvla

#endif  // KVLA_HARNESS_CERTIFY_EXPERT_TRIALS_H_

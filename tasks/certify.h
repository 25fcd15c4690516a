// Is a task what it claims to be? The expert with the cue must solve it, the expert without must
// be at chance. No rendering.
#ifndef KVLA_TASKS_CERTIFY_H_
#define KVLA_TASKS_CERTIFY_H_

#include <cstdint>
#include <functional>
#include <string>

#include "base/status.h"
#include "tasks/task.h"

namespace kvla {

struct CertifyResult {
  int episodes = 0;
  int expert_success = 0;
  int blind_success = 0;
  int blind_decided = 0;  // blind episodes that reached the decisive stage
  int blind_right = 0;    // and decided right
  int errors = 0;         // diverged episodes
  int64_t expert_steps = 0;
};

// Runs `episodes` episodes of the validation split with the expert, then with the blind expert.
// `progress(done, total)` may be empty; returning false from it cancels.
Result<CertifyResult> Certify(const Task& task, const std::string& delay, int episodes,
                              uint64_t run_seed,
                              const std::function<bool(int, int)>& progress = {});

}  // namespace kvla

#endif  // KVLA_TASKS_CERTIFY_H_

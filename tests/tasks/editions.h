// SPDX-License-Identifier: Apache-2.0
// Options that tests ask tasks for, and what they need to look at decoys.
#ifndef KVLA_TESTS_TASKS_EDITIONS_H_
#define KVLA_TESTS_TASKS_EDITIONS_H_

#include <algorithm>
#include <cstddef>
#include <vector>

#include "tests/tasks/play.h"

namespace kvla {

inline const TaskOptions kAnywhere = {.cues = "anywhere", .decoys = false, .layout = "seen"};
inline const TaskOptions kDecoys = {.cues = "anywhere", .decoys = true, .layout = "seen"};
inline const TaskOptions kHeldOut = {.cues = "anywhere", .decoys = true, .layout = "held_out"};

// The first decoy of an episode for which `is` holds, which is then placed.
template <class Is>
Decoy FindDecoy(Play* play, Is is) {
  for (uint64_t e = 0; e < 50; ++e) {
    play->Place("medium", e);
    const std::vector<Decoy>& decoys = play->scenario.decoys;
    const auto found = std::find_if(decoys.begin(), decoys.end(), is);
    if (found != decoys.end()) return *found;
  }
  ADD_FAILURE() << "no such decoy in 50 episodes";
  return {};
}

// Red, green, blue, alpha of a geom now.
inline const float* ColorOf(const World& world, int geom) {
  return world.model()->geom_rgba + size_t{4} * static_cast<size_t>(geom);
}

}  // namespace kvla

#endif  // KVLA_TESTS_TASKS_EDITIONS_H_

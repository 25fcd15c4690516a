// SPDX-License-Identifier: Apache-2.0
// What a suite asks of its tasks, beside the delay. Part of an episode's identity: the same key
// under other options is another episode.
#ifndef KVLA_TASKS_TASK_OPTIONS_H_
#define KVLA_TASKS_TASK_OPTIONS_H_

#include <string>

#include "base/config_fields.h"

namespace kvla {

struct TaskOptions {
  std::string cues = "early";
  bool decoys = false;
  std::string layout = "seen";

  template <class V>
  void Fields(V& v) {
    v("cues", cues, OneOf{"early", "anywhere"},
      "when the first cue is shown; early: 4 to 8 s into the episode, whatever the delay, so that a "
      "clock finds it; anywhere: the delay fixes the episode's length, and the first cue's time is "
      "uniform from 4 s to 5 s before the earliest decision");
    v("decoys", decoys,
      "show, before and after the cue and in the same places, what the instruction says to ignore");
    v("layout", layout, OneOf{"seen", "held_out"},
      "places, orders and colours of objects; held_out: such as no demonstration with cues "
      "anywhere has");
  }

  bool CuesAnywhere() const { return cues == "anywhere"; }
  bool HeldOut() const { return layout == "held_out"; }
  // Seen and held-out layouts are apart: where cues are early, seen ones are all that there are.
  bool LayoutsApart() const { return CuesAnywhere() || HeldOut(); }
  friend bool operator==(const TaskOptions&, const TaskOptions&) = default;
};

}  // namespace kvla

#endif  // KVLA_TASKS_TASK_OPTIONS_H_

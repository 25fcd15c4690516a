// SPDX-License-Identifier: Apache-2.0
// What every gate's training reads and where it writes.
#ifndef KVLA_POLICY_COMPACT_GATE_GATE_TRAIN_SETUP_H_
#define KVLA_POLICY_COMPACT_GATE_GATE_TRAIN_SETUP_H_

#include <string>

#include "base/config_fields.h"

namespace kvla {

struct GateTrainSetup {
  std::string checkpoint;  // the frozen policy
  std::string demos;       // training demonstrations
  std::string validation;  // demonstrations that nothing is fitted to
  std::string out;         // gate file to write (safetensors)
  std::string task;        // only this task's demonstrations; empty: all
  int seed = 0;
  int threads = 2;

  template <class V>
  void Fields(V& v) {
    v("checkpoint", checkpoint, "folder of the frozen policy");
    v("demos", demos, "folder of training demonstrations");
    v("validation", validation, "folder of the demonstrations for threshold and report");
    v("out", out, "gate file to write (safetensors)");
    v("task", task, "only demonstrations of this task; empty: all");
    v("seed", seed, Range{0, 1000000}, "seed of weights, order and noise");
    v("threads", threads, Range{1, 256}, "LibTorch threads");
  }
};

}  // namespace kvla

#endif  // KVLA_POLICY_COMPACT_GATE_GATE_TRAIN_SETUP_H_

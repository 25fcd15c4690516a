// SPDX-License-Identifier: Apache-2.0
#include "apps/commands.h"
#include "apps/train_common.h"
#include "policy/compact/gate/write_gate_training.h"

namespace kvla {

CLI::App* AddTrainWriteGate(CLI::App& parent, const AppContext& context, int* exit_code) {
  return AddGateTrainer<WriteGateTrainConfig>(
      parent, context, "train-write-gate",
      "Train the write gate of wg_kv or dms for a frozen policy", exit_code, &TrainWriteGate);
}

}  // namespace kvla

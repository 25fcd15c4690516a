// SPDX-License-Identifier: Apache-2.0
#include "apps/commands.h"
#include "apps/train_common.h"
#include "policy/compact/gate/gate_training.h"

namespace kvla {

CLI::App* AddTrainGate(CLI::App& parent, const AppContext& context, int* exit_code) {
  return AddGateTrainer<GateTrainConfig>(parent, context, "train-gate",
                                         "Train the chunk gate for a frozen policy", exit_code,
                                         &TrainGate);
}

}  // namespace kvla

// SPDX-License-Identifier: Apache-2.0
// A training in stages: from nothing, or from a stage of another chain, to a policy's weights.
#ifndef KVLA_HARNESS_TRAIN_CHAIN_CONFIG_H_
#define KVLA_HARNESS_TRAIN_CHAIN_CONFIG_H_

#include <string>
#include <vector>

#include "base/config_fields.h"
#include "base/status.h"
#include "harness/demos/demo_config.h"
#include "policy/compact/training/train_config.h"

namespace kvla {

// Demonstrations with the policy of the stage before at the wheel, for the stages after it.
struct WheelRound : DriverShare {
  std::vector<DemoSet> sets;

  template <class V>
  void Fields(V& v) {
    DriverShare::Fields(v);
    v("sets", sets,
      "what to record, otherwise as the training demonstrations were; empty: the stage trains");
  }
};

// It trains, or is a round at the wheel.
struct ChainStage : TrainStage {
  std::string name;
  WheelRound wheel;

  bool Trains() const { return wheel.sets.empty(); }

  template <class V>
  void Fields(V& v) {
    v("name", name, "its folder in OUT/stages, and its curve: OUT/loss_NAME.csv");
    v("wheel", wheel, "demonstrations with the policy of the stage before at the wheel");
    TrainStage::Fields(v);
  }
};

struct ChainConfig : TrainSetup {
  int workers = 2;
  std::vector<ChainStage> stages;

  template <class V>
  void Fields(V& v) {
    TrainSetup::Fields(v);
    v("workers", workers, Range{1, 256}, "worker processes of a round at the wheel");
    v("stages", stages, "one after the other, each from the weights of the one before");
  }
};

// BadInput, naming the stage: no stages, none at the end that trains, a name twice or none, a round
// at the wheel without a policy or with settings of a training, and whatever lets a loss or what is
// dropped depend on cue labels, or, after the first stage, what is shown.
Status CheckChain(const ChainConfig& config);

// Stage `index` alone. REQUIRES: CheckChain(), and that it trains.
TrainConfig TrainingOfStage(const ChainConfig& config, size_t index);

// OUT/stages/NAME.
std::string StageFolder(const ChainConfig& config, size_t index);
// The checkpoint that stage `index` starts from, or that is at its wheel; empty: fresh weights.
std::string StartOfStage(const ChainConfig& config, size_t index);

}  // namespace kvla

#endif  // KVLA_HARNESS_TRAIN_CHAIN_CONFIG_H_

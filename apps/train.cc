// SPDX-License-Identifier: Apache-2.0
#include "policy/compact/training/train.h"

#include "apps/commands.h"
#include "apps/train_common.h"

namespace kvla {

CLI::App* AddTrain(CLI::App& parent, const AppContext& context, int* exit_code) {
  const auto run = [&context](const TrainFlags& flags) {
    Trainer<TrainConfig> trainer;
    trainer.filter = [](const TrainConfig& c) -> Result<DemoFilter> {
      // The sizes are then those of the policy that it starts from.
      return c.init_from.empty() ? FilterFor(c.policy) : FilterFor(c.init_from);
    };
    trainer.folder = [](const TrainConfig& c) { return std::filesystem::path(c.out); };
    trainer.train = &Train;
    return RunTrainer(context, flags, trainer);
  };
  return AddTrainer(parent, "train", "Train the policy on demonstrations; resumes where it stopped",
                    exit_code, run);
}

}  // namespace kvla

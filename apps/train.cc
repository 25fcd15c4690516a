#include "policy/train.h"

#include "apps/commands.h"
#include "apps/train_common.h"

namespace kvla {

CLI::App* AddTrain(CLI::App& parent, const AppContext& context, int* exit_code) {
  const auto run = [&context](const TrainFlags& flags) {
    Trainer<TrainConfig> trainer;
    trainer.filter = [](const TrainConfig& c) -> Result<DemoFilter> {
      return DemoFilter{.tasks = {}, .cameras = c.policy.cameras};
    };
    trainer.folder = [](const TrainConfig& c) { return std::filesystem::path(c.out); };
    trainer.train = &Train;
    return RunTrainer(context, flags, trainer);
  };
  return AddTrainer(parent, "train", "Train the policy on demonstrations; resumes where it stopped",
                    exit_code, run);
}

}  // namespace kvla

// SPDX-License-Identifier: Apache-2.0
#include "policy/compact/gate/gate_training.h"

#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/config_io.h"
#include "base/files.h"
#include "base/json_text.h"
#include "kv_efficient/cache_geometry.h"
#include "kv_efficient/methods/learned/chunk_gate.h"
#include "policy/compact/gate/counterfactual.h"
#include "policy/compact/gate/frozen_policy.h"
#include "policy/compact/gate/gate_fit.h"
#include "policy/compact/gate/gate_report.h"
#include "tensors/torch.h"

namespace kvla {
namespace {

constexpr int kNoteEvery = 10;        // epochs
constexpr double kControlSteps = 20;  // a second, of demonstrations (sim/specs.h)

// Whether a pass's number-th demonstration is one of `some`, spread over all of them.
bool IsPicked(const FrozenDemo& demo, int some) {
  const auto before = int64_t{demo.number} * some / demo.of;
  return some > 0 && int64_t{demo.number + 1} * some / demo.of > before;
}

class GateTrainer {
 public:
  GateTrainer(const GateTrainConfig& config, const TrainHooks& hooks)
      : config_(config), hooks_(hooks) {}

  Status Run(DemoSource& demos, DemoSource& validation);

 private:
  Status Label(const char* phase, DemoSource& source, int episodes, int with_change,
               std::vector<LabelledChunks>* out);
  Status Fit();
  nlohmann::json Describe();
  bool Stopped() const { return hooks_.stop != nullptr && *hooks_.stop; }

  GateTrainConfig config_;
  TrainHooks hooks_;
  double begun_ = CpuMinutes(), labelled_ = 0;  // CPU minutes
  std::optional<FrozenPolicy> policy_;
  ChunkGate gate_{nullptr};
  int best_epoch_ = 0;
  std::vector<LabelledChunks> train_, validation_;
  double shift_ = 0;  // taken off the head's bias, so that 0.5 is the calibrated threshold
};

Status GateTrainer::Label(const char* phase, DemoSource& source, int episodes, int with_change,
                          std::vector<LabelledChunks>* out) {
  const DemoPass pass{phase, config_.task, episodes, config_.threads};
  const Status status = MapDemos<LabelledChunks>(
      *policy_, source, pass, hooks_,
      [&](const FrozenDemo& demo) {
        return LabelChunks(policy_->checkpoint.net, demo.instruction, demo.episode, config_,
                           IsPicked(demo, with_change));
      },
      out);
  // Shorter than the window.
  std::erase_if(*out, [](const LabelledChunks& chunks) { return !chunks.features.defined(); });
  return status;
}

Status GateTrainer::Fit() {
  std::ofstream curve(config_.out + ".csv");
  curve << "epoch,train_loss,validation_loss\n";
  const Result<int> best =
      FitGate(config_, train_, validation_, gate_, [&](const GateEpoch& epoch) {
        curve << epoch.number << ',' << epoch.train_loss << ',' << epoch.validation_loss << '\n'
              << std::flush;
        if (hooks_.on_progress) {
          const bool tell = epoch.number % kNoteEvery == 0 || epoch.number == config_.epochs;
          hooks_.on_progress(
              {"fit gate", epoch.number, config_.epochs, epoch.train_loss, epoch.seconds,
               tell ? fmt::format("validation loss {:.4f}", epoch.validation_loss) : ""});
        }
        return !Stopped();
      });
  if (!best.ok()) return best.status();
  best_epoch_ = *best;
  return {};
}

nlohmann::json GateTrainer::Describe() {
  const std::vector<torch::Tensor> logits = GateLogits(validation_, gate_);
  const GateCounts counts = CountKept(validation_, logits);
  int scenes = 0;
  for (const LabelledChunks& episode : validation_) scenes += episode.scenes;
  nlohmann::json out = {
      {"teacher", config_.teacher},
      {"keep", config_.keep},
      {"storage", config_.storage},
      {"validation_episodes", validation_.size()},
      {"training_episodes", train_.size()},
      {"scenes_per_episode", 1.0 * scenes / static_cast<double>(validation_.size())},
      {"epoch", best_epoch_},
      {"chunks", counts.chunks},
      {"useful", counts.useful},
      {"kept", counts.kept},
      {"precision", counts.precision()},
      {"recall", counts.recall()},
      {"cue_chunks",
       {{"all", counts.cue}, {"useful", counts.cue_useful}, {"kept", counts.cue_kept}}},
      {"cues",
       CueReport(validation_, logits, policy_->checkpoint.config.replan_steps / kControlSteps)},
      {"agreement", AgreementReport(validation_, logits)},
      {"logit_shift", shift_},
      {"cpu_minutes", {{"labels", labelled_ - begun_}, {"all", CpuMinutes() - begun_}}}};
  for (const auto& [target, rate] : counts.by_target) {
    out["kept_rate_by_target"][std::to_string(target)] = {
        {"episodes", rate.episodes}, {"kept", 1.0 * rate.kept / rate.episodes}};
  }
  return out;
}

Status GateTrainer::Run(DemoSource& demos, DemoSource& validation) {
  const Result<WriterLock> lock =
      BeginGateTraining(config_, PrintConfig(config_), hooks_, &policy_);
  if (!lock.ok()) return lock.status();
  if (Status s = Label("label chunks", demos, config_.episodes, 0, &train_); !s.ok()) return s;
  if (Status s = Label("label validation chunks", validation, config_.validation_episodes,
                       config_.agreement_episodes, &validation_);
      !s.ok()) {
    return s;
  }
  if (train_.empty() || validation_.empty()) {
    return BadInput(
        fmt::format("no demonstration of task '{}' is long enough for a gate", config_.task));
  }
  labelled_ = CpuMinutes();
  const PolicyConfig& sizes = policy_->checkpoint.config;
  const CacheGeometry geometry = GeometryOf(sizes, sizes.instruction_capacity(), 1);
  gate_ = ChunkGate(GateShape{.features = geometry.gate_features(),
                              .chunk_tokens = sizes.chunk_blocks * sizes.tokens_per_block(),
                              .mlp = config_.aggregate == "mlp",
                              .lstm = config_.memory == "lstm"});
  if (Status s = Fit(); !s.ok()) return s;
  shift_ = CalibrateGate(config_, validation_, gate_);
  const std::string report = JsonText(Describe(), 2) + "\n";
  if (Status s = WriteFileAtomic(config_.out + ".json", report); !s.ok()) return s;
  const std::string table = LabelTable(validation_, GateLogits(validation_, gate_));
  if (Status s = WriteFileAtomic(config_.out + ".labels.csv", table); !s.ok()) return s;
  return SaveGate(gate_, config_.out,
                  {{"gate_config", PrintConfig(config_)},
                   {"keep", config_.keep},
                   {"storage", config_.storage},
                   {kGatePolicyKey, policy_->hash}});
}

}  // namespace

Status TrainGate(const GateTrainConfig& config, DemoSource& demos, DemoSource& validation,
                 const TrainHooks& hooks) {
  try {
    return GateTrainer(config, hooks).Run(demos, validation);
  } catch (const std::exception& e) {
    return InternalError(fmt::format("gate training: {}", e.what()));
  }
}

}  // namespace kvla

// SPDX-License-Identifier: Apache-2.0
#include "harness/train/chain.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/config_io.h"
#include "base/files.h"
#include "base/streams.h"
#include "base/writer_lock.h"
#include "harness/demos/demo_reader.h"
#include "harness/train/stage_times.h"
#include "harness/train/train_display.h"
#include "harness/train/wheel_round.h"
#include "policy/compact/checkpoint_hash.h"
#include "policy/compact/text/text_encoder_files.h"
#include "policy/compact/training/packed_demos.h"
#include "policy/compact/training/train_resume.h"

namespace kvla {
namespace {

namespace fs = std::filesystem;

struct StageFound {
  bool begun = false, done = false;
};

DriverRound RoundOf(const ChainConfig& config, size_t index) {
  const ChainStage& stage = config.stages[index];
  return {stage.wheel, stage.name, StageFolder(config, index), StartOfStage(config, index)};
}

Result<StageFound> LookAtTraining(const ChainConfig& config, size_t index) {
  const Result<std::optional<KeptTraining>> kept = ReadKeptTraining(StageFolder(config, index));
  if (!kept.ok()) return kept.status();
  if (!*kept) return StageFound{};
  TrainConfig now = TrainingOfStage(config, index);
  std::string start;
  if (!now.init_from.empty()) {
    const Result<std::string> hash = CheckpointHash(now.init_from);
    if (!hash.ok()) return hash.status();
    start = *hash;
    now.policy = (*kept)->config.policy;  // is that of the start
  } else if (now.history == "plain") {
    now.policy.age_clamp_blocks = 0;
  }
  if (Status s = CheckSameTraining(**kept, now, start); !s.ok()) return s;
  return StageFound{.begun = true, .done = (*kept)->steps >= now.steps};
}

// What OUT holds of each stage, in their order.
Result<std::vector<StageFound>> LookAtStages(const ChainConfig& config) {
  std::vector<StageFound> found;
  const std::string* open = nullptr;  // the first stage that is not done
  for (size_t i = 0; i < config.stages.size(); ++i) {
    const ChainStage& stage = config.stages[i];
    if (open != nullptr) {
      if (Exists(StageFolder(config, i))) {
        return BadInput(fmt::format(
            "{} is there, but stage '{}' before it is not done; remove the one, or give '{}' the "
            "steps that it had",
            StageFolder(config, i), *open, *open));
      }
      found.emplace_back();
      continue;
    }
    if (stage.Trains()) {
      const Result<StageFound> training = LookAtTraining(config, i);
      if (!training.ok()) return training.status();
      found.push_back(*training);
    } else {
      const Result<DriverRound::Found> round = RoundOf(config, i).Look();
      if (!round.ok()) return round.status();
      found.push_back({round->begun, round->done});
    }
    if (!found.back().done) open = &stage.name;
  }
  return found;
}

struct Readers {
  std::unique_ptr<DemoReader> demos, validation;
};

Result<Readers> OpenDemos(const ChainConfig& config) {
  const Result<DemoFilter> filter =
      config.init_from.empty() ? FilterFor(config.policy) : FilterFor(fs::path(config.init_from));
  if (!filter.ok()) return filter.status();
  Result<std::unique_ptr<DemoReader>> demos = DemoReader::Open(config.demos, *filter);
  if (!demos.ok()) return demos.status();
  Result<std::unique_ptr<DemoReader>> validation = DemoReader::Open(config.validation, *filter);
  if (!validation.ok()) return validation.status();
  return Readers{*std::move(demos), *std::move(validation)};
}

// Frame blocks that a training's steps show, from `done` steps on.
double BlocksAhead(const TrainStage& stage, int done, double mean_blocks) {
  const double part = (1 - stage.full_history_share) * stage.batch * stage.sample_blocks;
  const double whole = stage.full_history_share * stage.full_history_batch * mean_blocks;
  return (stage.steps - done) * (part + whole);
}

class Chain {
 public:
  Chain(const ChainConfig& config, const ChainOptions& options)
      : config_(config), options_(options), display_(options.progress) {}

  Status Run();

 private:
  Status RunStage(size_t index);
  Status Train(size_t index);
  Status Record(size_t index);
  // Once: what is recorded at the wheel is added later.
  Status ReadDemos(const std::string& label);
  Status Add(PackedDemos* to, DemoSource& from, const std::string& label, const char* phase);
  Status KeepCurve(size_t index) const;
  Status KeepPolicy() const;
  std::string Label(size_t index) const;
  // ", 3 h 20 min to the end of the chain": as fast as this stage. Rounds at the wheel not counted.
  std::string Ahead(size_t index, const TrainProgress& p) const;

  ChainConfig config_;
  ChainOptions options_;
  TrainDisplay display_;
  std::optional<StageTimes> times_;
  std::optional<Readers> readers_;
  PackedDemos demos_, validation_;
  size_t added_rounds_ = 0;  // stages up to here are among demos_
  std::shared_ptr<EncodedDemos> encoded_ = MakeEncodedDemos();
};

std::string Chain::Label(size_t index) const {
  return fmt::format("{}/{} {}", index + 1, config_.stages.size(), config_.stages[index].name);
}

std::string Chain::Ahead(size_t index, const TrainProgress& p) const {
  const double mean = demos_.MeanBlocks();
  const ChainStage& stage = config_.stages[index];
  const double rate = p.seconds_per_step * stage.steps / BlocksAhead(stage, 0, mean);
  double blocks = BlocksAhead(stage, p.step, mean);
  for (size_t i = index + 1; i < config_.stages.size(); ++i) {
    if (config_.stages[i].Trains()) blocks += BlocksAhead(config_.stages[i], 0, mean);
  }
  return fmt::format(", {} to the end of the chain", DurationText(blocks * rate));
}

Status Chain::Add(PackedDemos* to, DemoSource& from, const std::string& label, const char* phase) {
  return to->Add(from, options_.cancel, [&](int done) {
    display_.Show({phase, done, from.size(), 0, 0, ""}, label);
  });
}

Status Chain::ReadDemos(const std::string& label) {
  if (demos_.size() > 0) return {};
  if (Status s = Add(&demos_, *readers_->demos, label, "read demonstrations"); !s.ok()) return s;
  return Add(&validation_, *readers_->validation, label, "read validation");
}

Status Chain::Train(size_t index) {
  const std::string label = Label(index);
  if (Status s = ReadDemos(label); !s.ok()) return s;
  for (; added_rounds_ < index; ++added_rounds_) {
    if (config_.stages[added_rounds_].Trains()) continue;
    const fs::path folder = RoundOf(config_, added_rounds_).demos();
    Result<std::unique_ptr<DemoReader>> round = DemoReader::Open(folder);
    if (!round.ok()) return round.status();
    if (Status s = Add(&demos_, **round, label, "read the round at the wheel"); !s.ok()) return s;
  }
  const std::string& name = config_.stages[index].name;
  Status kept;
  double seconds = 0;  // a step, on average over the last ones
  TrainHooks hooks;
  hooks.stop = options_.cancel;
  hooks.text_encoder = TextEncoderFolder(options_.asset_root);
  hooks.encoded = encoded_;
  hooks.on_note = [](const std::string& note) { Say("kvla: {}\n", note); };
  hooks.on_progress = [&](const TrainProgress& p) {
    constexpr double kKeep = 0.98;  // steps on whole histories take longer than others
    seconds = seconds > 0 ? kKeep * seconds + (1 - kKeep) * p.seconds_per_step : p.seconds_per_step;
    TrainProgress usual = p;
    usual.seconds_per_step = seconds;
    display_.Show(usual, label, seconds > 0 ? Ahead(index, usual) : "");
    if (options_.on_progress) options_.on_progress(name, p);
    if (kept.ok()) kept = times_->Keep();
  };
  const Status status = kvla::Train(TrainingOfStage(config_, index), demos_, validation_, hooks);
  display_.Finish();
  if (!status.ok()) return status;
  return kept.ok() ? KeepCurve(index) : kept;
}

Status Chain::Record(size_t index) {
  display_.Finish();
  const Result<DemosConfig> like = readers_->demos->Settings();
  if (!like.ok()) return like.status();
  Say("{}: at the wheel is {}\n", Label(index), StartOfStage(config_, index));
  DemosOptions options;
  options.asset_root = options_.asset_root;
  options.workers = config_.workers;
  options.progress = options_.progress;
  options.command = options_.command;
  options.cancel = options_.cancel;
  return RoundOf(config_, index).Record(*like, options);
}

Status Chain::KeepCurve(size_t index) const {
  const Result<std::string> curve = ReadFile(fs::path(StageFolder(config_, index)) / kCurveFile);
  if (!curve.ok()) return curve.status();
  return WriteFileAtomic(
      fs::path(config_.out) / fmt::format("loss_{}.csv", config_.stages[index].name), *curve);
}

// The config first: it is in the way of nothing while the weights are not there.
Status Chain::KeepPolicy() const {
  for (const char* name : {kConfigFile, kWeightsFile}) {
    const fs::path from = fs::path(StageFolder(config_, config_.stages.size() - 1)) / name;
    const Result<std::string> bytes = ReadFile(from);
    if (!bytes.ok()) return bytes.status();
    if (Status s = WriteFileAtomic(fs::path(config_.out) / name, *bytes); !s.ok()) return s;
  }
  return {};
}

Status Chain::RunStage(size_t index) {
  times_->Begin(config_.stages[index].name);
  const Status status = config_.stages[index].Trains() ? Train(index) : Record(index);
  const Status kept = times_->Keep(/*now=*/true);
  if (!status.ok()) return status.In(config_.stages[index].name);
  return kept;
}

Status Chain::Run() {
  if (Status s = CheckChain(config_); !s.ok()) return s;
  const Result<WriterLock> lock = WriterLock::OfFolder(config_.out);
  if (!lock.ok()) return lock.status();
  const Result<std::vector<StageFound>> found = LookAtStages(config_);
  if (!found.ok()) return found.status();
  Result<StageTimes> times = StageTimes::Open(fs::path(config_.out) / "stages.csv");
  if (!times.ok()) return times.status();
  times_.emplace(*std::move(times));
  const bool all_done = std::ranges::all_of(*found, &StageFound::done);
  if (!all_done) {
    Result<Readers> readers = OpenDemos(config_);
    if (!readers.ok()) return readers.status();
    readers_.emplace(*std::move(readers));
  }
  Status status = WriteFileAtomic(fs::path(config_.out) / "chain.yaml", PrintConfig(config_));
  if (!status.ok()) return status;
  for (size_t i = 0; i < config_.stages.size(); ++i) {
    if ((*found)[i].done) {
      Say("{}: done\n", Label(i));
      status = config_.stages[i].Trains() ? KeepCurve(i) : Status();
    } else {
      status = RunStage(i);
    }
    display_.Finish();
    if (!status.ok()) return status;
  }
  if (Status s = KeepPolicy(); !s.ok()) return s;
  Print("{}", times_->Table());
  return {};
}

}  // namespace

Result<ChainLook> LookAtChain(const ChainConfig& config) {
  if (Status s = CheckChain(config); !s.ok()) return s;
  const Result<std::vector<StageFound>> found = LookAtStages(config);
  if (!found.ok()) return found.status();
  const Result<Readers> readers = OpenDemos(config);
  if (!readers.ok()) return readers.status();
  ChainLook look;
  look.training = readers->demos->size();
  look.validation = readers->validation->size();
  for (size_t i = 0; i < config.stages.size(); ++i) {
    if ((*found)[i].done) look.done.push_back(config.stages[i].name);
  }
  return look;
}

Status RunChain(const ChainConfig& config, const ChainOptions& options) {
  return Chain(config, options).Run();
}

}  // namespace kvla

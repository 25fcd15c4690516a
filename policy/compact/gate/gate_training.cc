// SPDX-License-Identifier: Apache-2.0
#include "policy/compact/gate/gate_training.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/config_io.h"
#include "base/files.h"
#include "base/json_text.h"
#include "base/writer_lock.h"
#include "kv_efficient/cache_geometry.h"
#include "kv_efficient/methods/learned/chunk_gate.h"
#include "policy/compact/checkpoint.h"
#include "policy/compact/checkpoint_hash.h"
#include "policy/compact/gate/counterfactual.h"
#include "policy/compact/gate/gate_fit.h"
#include "policy/compact/text/instruction_reader.h"
#include "policy/compact/training/parallel_torch_jobs.h"
#include "policy/compact/training/train_resume.h"
#include "policy/compact/vla.h"
#include "tensors/torch.h"

namespace kvla {
namespace {

constexpr int kNoteEvery = 10;  // epochs
constexpr int kEpisodesAtOnce = 8;

class GateTrainer {
 public:
  GateTrainer(const GateTrainConfig& config, const TrainHooks& hooks)
      : config_(config), hooks_(hooks) {}

  Status Run(DemoSource& demos, DemoSource& validation);

 private:
  Status Label(const char* phase, DemoSource& source, int episodes,
               std::vector<LabelledChunks>* out);
  Status Fit();
  nlohmann::json Describe();
  std::string LabelTable();
  bool Stopped() const { return hooks_.stop != nullptr && *hooks_.stop; }

  GateTrainConfig config_;
  TrainHooks hooks_;
  Checkpoint policy_;
  std::string policy_hash_;
  std::optional<InstructionReader> reader_;
  ChunkGate gate_{nullptr};
  int best_epoch_ = 0;
  std::vector<LabelledChunks> train_, validation_;
  double shift_ = 0;  // taken off the head's bias, so that 0.5 is the calibrated threshold
};

Status GateTrainer::Label(const char* phase, DemoSource& source, int episodes,
                          std::vector<LabelledChunks>* out) {
  // Spread over the whole set: its order follows task and delay.
  const int total = std::min(episodes, source.size());
  for (int first = 0; first < total; first += kEpisodesAtOnce) {
    if (Stopped()) return {StatusCode::kCancelled, "stopped while labelling"};
    const auto begin = std::chrono::steady_clock::now();
    const int end = std::min(total, first + kEpisodesAtOnce);
    std::vector<DemoEpisode> read;
    std::vector<torch::Tensor> instructions;
    for (int i = first; i < end; ++i) {
      Result<DemoEpisode> episode =
          source.Read(static_cast<int>(int64_t{i} * source.size() / total));
      if (!episode.ok()) return episode.status();
      if (Status s = CheckDemo(*episode, policy_.config); !s.ok()) return s;
      if (!config_.task.empty() && episode->task != config_.task) continue;
      const Result<torch::Tensor> instruction = reader_->Read(episode->instruction);
      if (!instruction.ok()) return instruction.status();
      read.push_back(*std::move(episode));
      instructions.push_back(*instruction);
    }
    std::vector<std::optional<Result<LabelledChunks>>> labelled(read.size());
    RunParallelTorchJobs(read.size(), config_.threads, [&](size_t i) {
      labelled[i] = LabelChunks(policy_.net, instructions[i], read[i], config_);
    });
    for (std::optional<Result<LabelledChunks>>& chunks : labelled) {
      if (!chunks->ok()) return chunks->status();
      if ((*chunks)->features.defined()) out->push_back(**std::move(chunks));
    }
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    if (hooks_.on_progress) {
      hooks_.on_progress({phase, end, total, 0.0, seconds.count() / (end - first), ""});
    }
  }
  return {};
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
  const GateCounts counts = CountKept(validation_, GateLogits(validation_, gate_));
  nlohmann::json out = {
      {"validation_episodes", validation_.size()},
      {"training_episodes", train_.size()},
      {"epoch", best_epoch_},
      {"chunks", counts.chunks},
      {"useful", counts.useful},
      {"kept", counts.kept},
      {"precision", counts.precision()},
      {"recall", counts.recall()},
      {"cue_chunks",
       {{"all", counts.cue}, {"useful", counts.cue_useful}, {"kept", counts.cue_kept}}},
      {"logit_shift", shift_}};
  for (const auto& [target, rate] : counts.by_target) {
    out["kept_rate_by_target"][std::to_string(target)] = {
        {"episodes", rate.episodes}, {"kept", 1.0 * rate.kept / rate.episodes}};
  }
  return out;
}

// One row a chunk of the validation demonstrations.
std::string GateTrainer::LabelTable() {
  const std::vector<torch::Tensor> all_logits = GateLogits(validation_, gate_);
  std::string table = "episode,target,chunk,saw_cue,loss_drop,useful,logit\n";
  for (size_t e = 0; e < validation_.size(); ++e) {
    const LabelledChunks& episode = validation_[e];
    const torch::Tensor& logits = all_logits[e];
    for (size_t i = 0; i < episode.drops.size(); ++i) {
      const auto chunk = static_cast<int64_t>(i);
      table += fmt::format("{},{},{},{},{:.4f},{},{:.3f}\n", e, episode.target, i,
                           int{episode.saw_cue[i]}, episode.drops[i],
                           episode.useful[chunk].item<float>(), logits[chunk].item<float>());
    }
  }
  return table;
}

Status GateTrainer::Run(DemoSource& demos, DemoSource& validation) {
  torch::manual_seed(config_.seed);
  torch::set_num_threads(config_.threads);
  Result<Checkpoint> policy = LoadCheckpoint(config_.checkpoint);
  if (!policy.ok()) return policy.status();
  policy_ = *std::move(policy);
  if (Status s = CheckKeepsCache(policy_.config, config_.checkpoint); !s.ok()) return s;
  Result<std::string> hash = CheckpointHash(config_.checkpoint);
  if (!hash.ok()) return hash.status();
  policy_hash_ = *std::move(hash);
  policy_.net->eval();
  Result<InstructionReader> reader = InstructionReader::Create(policy_.config, hooks_.text_encoder);
  if (!reader.ok()) return reader.status();
  reader_ = *std::move(reader);
  // Before the long work: what cannot be written should be said now.
  const Result<WriterLock> lock = WriterLock::OfFile(config_.out);
  if (!lock.ok()) return lock.status();
  if (Status s = CheckSameGate(config_.out, PrintConfig(config_)); !s.ok()) return s;
  if (Status s = Label("label chunks", demos, config_.episodes, &train_); !s.ok()) return s;
  if (Status s =
          Label("label validation chunks", validation, config_.validation_episodes, &validation_);
      !s.ok()) {
    return s;
  }
  if (train_.empty() || validation_.empty()) {
    return BadInput(
        fmt::format("no demonstration of task '{}' is long enough for a gate", config_.task));
  }
  const PolicyConfig& sizes = policy_.config;
  const CacheGeometry geometry = GeometryOf(sizes, sizes.instruction_capacity(), 1);
  gate_ =
      ChunkGate(GateShape{geometry.gate_features(), sizes.chunk_blocks * sizes.tokens_per_block()});
  if (Status s = Fit(); !s.ok()) return s;
  shift_ = CalibrateGate(validation_, config_.recall, gate_);
  const std::string report = JsonText(Describe(), 2) + "\n";
  if (Status s = WriteFileAtomic(config_.out + ".json", report); !s.ok()) return s;
  if (Status s = WriteFileAtomic(config_.out + ".labels.csv", LabelTable()); !s.ok()) return s;
  return SaveGate(gate_, config_.out,
                  {{"gate_config", PrintConfig(config_)},
                   {"keep", config_.keep},
                   {kGatePolicyKey, policy_hash_}});
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

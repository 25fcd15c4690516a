// SPDX-License-Identifier: Apache-2.0
#include "policy/compact/training/train.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>
#include <limits>
#include <numbers>
#include <optional>
#include <set>

#include "base/config_io.h"
#include "base/machine.h"
#include "base/writer_lock.h"
#include "policy/compact/checkpoint.h"
#include "policy/compact/checkpoint_hash.h"
#include "policy/compact/net/autocast.h"
#include "policy/compact/text/instruction_reader.h"
#include "policy/compact/text/tokenizer.h"
#include "policy/compact/training/losses.h"
#include "policy/compact/training/parallel_backward.h"
#include "policy/compact/training/train_resume.h"
#include "policy/compact/training/train_state.h"
#include "policy/compact/training/training_forward.h"
#include "policy/compact/training/training_set.h"
#include "policy/compact/training/validation.h"
#include "tensors/torch.h"

namespace kvla {
namespace {

namespace fs = std::filesystem;

constexpr double kGradientNorm = 1.0;
constexpr double kFinalRateShare = 0.02;
constexpr double kChoiceWeight = 0.2;  // beside the waypoint's L1
// Encoder tokens that vary less than this over a batch mean that the encoder has died.
constexpr double kLeastTokenSpread = 1e-3;

bool HasBf16Instructions() {
  const std::vector<std::string> features = ReadMachineFacts().cpu_features;
  return std::ranges::any_of(
      features, [](const std::string& f) { return f == "avx512_bf16" || f == "amx_bf16"; });
}

class Trainer {
 public:
  Trainer(const TrainConfig& config, const TrainHooks& hooks)
      : config_(config), hooks_(hooks), history_(ParseHistory(config.history)) {}

  Status Run(DemoSource& demos, DemoSource& validation);

 private:
  // Settings that contradict each other.
  Status CheckSettings() const;
  Status Start();
  // Whether the folder holds nothing, or this very training.
  Status CheckFolder();
  Result<TrainingSet> ReadDemos(DemoSource& source, const char* phase);
  Status ReadInstructions();
  Status CheckTargets() const;
  Status CheckEmphasis() const;
  // Fresh weights, and those of warm_from.
  Status MakeNet();
  Status Prepare();
  Status Loop();
  bool Learns(const std::string& parameter) const;
  SubHistoryOptions Histories(bool full, bool compress) const;
  torch::Tensor Loss(const HeadOutputs& outputs, const Batch& batch) const;
  double Step(int step);
  std::string Validate();
  Status CheckEncoder();
  KeptTraining Training() const;
  Status SaveWeights(int step);

  TrainConfig config_;
  TrainHooks hooks_;
  History history_;
  std::optional<KeptTraining> kept_;  // what the folder held at the start
  std::string start_;                 // hash of the checkpoint that it starts from
  TrainingSet train_, validation_;
  bool bf16_ = false;
  std::vector<std::string> fresh_;  // tensors of heads that init_from did not have
  VlaNet net_{nullptr};
  std::vector<torch::Tensor> learned_;  // the parameters that this run trains
  std::unique_ptr<WeightAverage> average_;
  std::unique_ptr<torch::optim::AdamW> optimizer_;
};

Status Trainer::ReadInstructions() {
  Result<InstructionReader> reader = InstructionReader::Create(config_.policy, hooks_.text_encoder);
  if (!reader.ok()) return reader.status();
  for (TrainingSet* set : {&train_, &validation_}) {
    if (Status status = set->ReadInstructions(*reader); !status.ok()) return status;
  }
  return {};
}

// Every class that a demonstration names must have its logit.
Status Trainer::CheckTargets() const {
  for (const TrainingSet* set : {&train_, &validation_}) {
    for (const DemoEpisode& episode : set->corpus().episodes()) {
      const int last = std::max<int>(
          static_cast<int>(episode.target_places.size()) - 1,
          episode.target_class.empty() ? -1 : *std::ranges::max_element(episode.target_class));
      if (last < config_.policy.num_target_classes) continue;
      return BadInput(fmt::format("task '{}' has target class {}: policy.num_target_classes is {}",
                                  episode.task, last, config_.policy.num_target_classes));
    }
  }
  return {};
}

Status Trainer::CheckEmphasis() const {
  for (const std::string& task : config_.emphasis) {
    const auto is_of = [&task](const DemoEpisode& episode) { return episode.task == task; };
    if (std::ranges::any_of(train_.corpus().episodes(), is_of)) continue;
    return BadInput(fmt::format("emphasis: there are no demonstrations of '{}'", task));
  }
  return {};
}

Status Trainer::CheckSettings() const {
  if (!config_.init_from.empty() && !config_.warm_from.empty()) {
    return BadInput("init_from and warm_from are both given: use one");
  }
  if (config_.warm_from.empty() && !config_.warm_parts.empty()) {
    return BadInput("warm_parts says what to take from warm_from, which is not given");
  }
  if (config_.init_from.empty() && config_.warm_from.empty() && config_.learns != "everything") {
    return BadInput(fmt::format(
        "learns: {}: what stays as it is comes from init_from or warm_from, which are empty",
        config_.learns));
  }
  const bool may_drop = history_ == History::kRobust || history_ == History::kByCues;
  if (config_.compression_share > 0 && !may_drop) {
    return BadInput(fmt::format(
        "compression_share is {}, but nothing is compressed under history: {}; leave it at 0",
        config_.compression_share, config_.history));
  }
  if (config_.unsure_weight > 0 && history_ != History::kByCues) {
    return BadInput(fmt::format(
        "unsure_weight is {}: where the cue is not to be seen is known under history: by_cues "
        "alone, which reads cue labels; leave it at 0",
        config_.unsure_weight));
  }
  return {};
}

// What there is before the first demonstration is read.
Status Trainer::Start() {
  torch::manual_seed(config_.seed);
  torch::set_num_threads(config_.threads);
  bf16_ = config_.bf16 == "on" || (config_.bf16 == "auto" && HasBf16Instructions());
  if (!config_.init_from.empty()) {
    Result<Checkpoint> start = LoadCheckpoint(config_.init_from, &fresh_);
    if (!start.ok()) return start.status();
    const Result<std::string> hash = CheckpointHash(config_.init_from);
    if (!hash.ok()) return hash.status();
    start_ = *hash;
    config_.policy = start->config;
    net_ = start->net;
  } else if (config_.learns != "everything") {
    // Images are read through what stays as it is, before there are words.
    if (config_.policy.vocabulary.empty() && !config_.policy.reads_sentences()) {
      return BadInput(
          fmt::format("learns: {} with warm_from: policy.vocabulary is empty; give "
                      "that of {}",
                      config_.learns, config_.warm_from));
    }
    if (Status s = MakeNet(); !s.ok()) return s;
  }
  if (history_ != History::kPlain || config_.policy.age_clamp_blocks == 0) return {};
  config_.policy.age_clamp_blocks = 0;
  if (net_.is_empty()) return {};
  // The same weights, whose tokens now keep their distance.
  VlaNet unclamped(config_.policy);
  const torch::NoGradGuard no_grad;
  const std::vector<torch::Tensor> from = net_->parameters(), to = unclamped->parameters();
  for (size_t i = 0; i < to.size(); ++i) to[i].copy_(from[i]);
  net_ = unclamped;
  return {};
}

// Frozen encoders see each image once; the images need not stay in memory.
Result<TrainingSet> Trainer::ReadDemos(DemoSource& source, const char* phase) {
  VlaNet* frozen = config_.learns == "everything" ? nullptr : &net_;
  return TrainingSet::Read(source, config_.policy, frozen, phase, hooks_);
}

bool Trainer::Learns(const std::string& parameter) const {
  if (config_.learns == "heads") return IsHead(parameter);
  return config_.learns == "everything" || !IsEncoder(parameter);
}

Status Trainer::MakeNet() {
  if (Status status = CheckPolicyConfig(config_.policy); !status.ok()) return status;
  net_ = VlaNet(config_.policy);
  if (config_.warm_from.empty()) return {};
  std::vector<std::string> fresh;
  if (Status s = TakeOverTensors(config_.warm_from, config_.warm_parts, net_, &fresh); !s.ok()) {
    return s;
  }
  for (const std::string& name : fresh) {
    if (Learns(name)) continue;
    return BadInput(
        fmt::format("learns: {}: '{}' stays as it is, and {} has no such tensor of its "
                    "shape, or warm_parts leaves it out",
                    config_.learns, name, config_.warm_from));
  }
  return {};
}

Status Trainer::Prepare() {
  if (net_.is_empty()) {
    if (config_.policy.vocabulary.empty() && !config_.policy.reads_sentences()) {
      std::set<std::string> words;
      for (const DemoEpisode& episode : train_.corpus().episodes()) {
        for (const std::string& word : Tokenizer::Words(episode.instruction)) words.insert(word);
      }
      config_.policy.vocabulary.assign(words.begin(), words.end());
    }
    if (Status status = MakeNet(); !status.ok()) return status;
  }
  if (config_.compression_share > 0) {
    if (Status s = CheckKeepsCache(config_.policy, "compression_share"); !s.ok()) return s;
  }
  if (Status status = CheckTargets(); !status.ok()) return status;
  if (Status status = ReadInstructions(); !status.ok()) return status;
  // Only embeddings of one length can stand side by side in a step.
  const auto mix =
      config_.policy.reads_sentences() ? DemoCorpus::Mix::kTasks : DemoCorpus::Mix::kOneInstruction;
  if (Status status = CheckEmphasis(); !status.ok()) return status;
  train_.corpus().GroupBy(mix, config_.emphasis);
  validation_.corpus().GroupBy(mix);
  std::vector<torch::Tensor> matrices, vectors;
  for (const auto& item : net_->named_parameters()) {
    torch::Tensor p = item.value();
    p.set_requires_grad(Learns(item.key()));
    if (!p.requires_grad()) continue;
    (p.dim() > 1 ? matrices : vectors).push_back(p);
    learned_.push_back(p);
  }
  const auto options = torch::optim::AdamWOptions(config_.learning_rate).betas({0.9, 0.95});
  std::vector<torch::optim::OptimizerParamGroup> groups;
  groups.emplace_back(matrices,
                      std::make_unique<torch::optim::AdamWOptions>(
                          torch::optim::AdamWOptions(options).weight_decay(config_.weight_decay)));
  groups.emplace_back(vectors, std::make_unique<torch::optim::AdamWOptions>(
                                   torch::optim::AdamWOptions(options).weight_decay(0.0)));
  optimizer_ = std::make_unique<torch::optim::AdamW>(groups, options);
  average_ = std::make_unique<WeightAverage>(net_, config_.ema_decay);
  return {};
}

SubHistoryOptions Trainer::Histories(bool full, bool compress) const {
  SubHistoryOptions options;
  options.chunk_blocks = config_.policy.chunk_blocks;
  options.replan_steps = config_.policy.replan_steps;
  options.history = history_;
  options.show_cues = config_.shows == "cues" || history_ == History::kByCues;
  options.compress = compress;
  options.decision_share = config_.decision_share;
  options.fresh_share = config_.fresh_share;
  options.max_blocks = full ? std::numeric_limits<int>::max() : config_.sample_blocks;
  return options;
}

torch::Tensor Trainer::Loss(const HeadOutputs& outputs, const Batch& batch) const {
  const BlockLosses losses = ComputeLosses(outputs, batch);
  // What an episode is about is little beside the chores around it.
  const torch::Tensor weight =
      losses.action_valid * (1.0 + (config_.decision_weight - 1.0) * batch.uses_target);
  const torch::Tensor shown =
      config_.shown_weight + (1.0 - config_.shown_weight) * batch.uses_target;
  const torch::Tensor fresh = (1.0 + (config_.fresh_weight - 1.0) * batch.fresh) * shown;
  return Mean(ActionLoss(losses) * weight, weight) +
         config_.waypoint_weight *
             Mean((losses.waypoint + config_.square_weight * losses.waypoint_square +
                   kChoiceWeight * losses.choice) *
                      weight,
                  weight) +
         config_.target_weight * Mean(losses.target * fresh, losses.target_valid * fresh) +
         config_.unsure_weight * Mean(losses.unsure, losses.unsure_valid) +
         config_.order_weight * Mean(losses.order, losses.order_valid) +
         config_.places_weight *
             Mean((losses.places + config_.square_weight * losses.places_square) *
                      weight.unsqueeze(-1),
                  losses.places_valid * weight.unsqueeze(-1));
}

double Trainer::Step(int step) {
  // Keyed by the step alone, so that a resumed run draws what an undisturbed one would.
  Rng rng(StableHash(fmt::format("batch/{}/{}", config_.seed, step)));
  const bool full = rng.Uniform() < config_.full_history_share;
  const bool compress = rng.Uniform() < config_.compression_share;
  const int samples = full ? config_.full_history_batch : config_.batch;
  const std::vector<Batch> parts =
      train_.Draw(samples, config_.policy, Histories(full, compress), rng);
  const double warm = std::min(1.0, (step + 1.0) / std::max(1, config_.warmup_steps));
  const double cosine = 0.5 * (1.0 + std::cos(std::numbers::pi * step / config_.steps));
  const double rate =
      config_.learning_rate * warm * (kFinalRateShare + (1.0 - kFinalRateShare) * cosine);
  for (auto& group : optimizer_->param_groups()) group.options().set_lr(rate);

  net_->train();
  const double total = ParallelBackward(learned_, parts.size(), config_.threads, [&](size_t i) {
    const Autocast autocast(bf16_);
    return Loss(TrainingForward(net_, parts[i], Told::kTarget), parts[i]) *
           (static_cast<double>(parts[i].samples) / samples);
  });
  torch::nn::utils::clip_grad_norm_(learned_, kGradientNorm);
  optimizer_->step();
  average_->Update(net_);
  return total;
}

std::string Trainer::Validate() {
  const torch::NoGradGuard no_grad;
  average_->Swap(net_);
  net_->eval();
  ValidationOptions options;
  options.samples = config_.batch / 2 + 1;
  options.histories = Histories(false, false);
  if (config_.full_history_share > 0) options.wholes = Histories(true, false);
  std::string note = ValidationNote(net_, validation_, options);
  average_->Swap(net_);
  return note;
}

Status Trainer::CheckEncoder() {
  const torch::NoGradGuard no_grad;
  Rng rng(StableHash("encoder"));
  const Batch batch = train_.Draw(2, config_.policy, Histories(false, false), rng).front();
  const torch::Tensor tokens =
      batch.encoded.defined() ? batch.encoded : net_->EncodeBlocks(batch.images, batch.proprio);
  const torch::Tensor spread = tokens.std(0).mean(-1);  // [tokens_per_block]
  const double least = spread.min().item<double>();
  if (least > kLeastTokenSpread) return {};
  return InternalError(
      fmt::format("the image encoder died: one of its tokens varies by {:.2g} "
                  "over a batch, less than {}",
                  least, kLeastTokenSpread));
}

Status Trainer::SaveWeights(int step) {
  average_->Swap(net_);
  const Status status = SaveCheckpoint(config_.out, net_, TrainingNotes(Training(), step),
                                       config_.half_file ? torch::kFloat16 : torch::kFloat32);
  average_->Swap(net_);
  return status;
}

Status Trainer::Loop() {
  const fs::path state = fs::path(config_.out) / kStateFolder;
  Result<int> resumed = LoadTrainState(state, net_, *average_, *optimizer_);
  if (!resumed.ok()) return resumed.status();
  if (*resumed >= config_.steps && hooks_.on_note) {
    hooks_.on_note(fmt::format("{} is finished: {} steps are done; with more steps it goes on",
                               config_.out, *resumed));
  }
  const fs::path curve_file = fs::path(config_.out) / kCurveFile;
  if (Status status = CutCurve(curve_file, *resumed); !status.ok()) return status;
  std::ofstream curve(curve_file, std::ios::app);
  for (int step = *resumed; step < config_.steps; ++step) {
    const auto begin = std::chrono::steady_clock::now();
    const double loss = Step(step);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    if (!std::isfinite(loss)) return InternalError(fmt::format("step {}: loss is {}", step, loss));
    const int done = step + 1;
    std::string note;
    if (step == *resumed) note = bf16_ ? "in bfloat16" : "in float32";
    if (done % config_.validate_every == 0 || done == config_.steps) {
      if (Status status = CheckEncoder(); !status.ok()) return status;
      note = Validate();
    }
    curve << done << ',' << loss << ',' << seconds.count() << ",\"" << note << "\"\n" << std::flush;
    if (hooks_.on_progress) {
      hooks_.on_progress({"train", done, config_.steps, loss, seconds.count(), note});
    }
    const bool stop = hooks_.stop != nullptr && *hooks_.stop;
    if (stop || done % config_.checkpoint_every == 0 || done == config_.steps) {
      // The weights first: they say with which settings the state was made.
      if (Status s = SaveWeights(done); !s.ok()) return s;
      if (Status s = SaveTrainState(state, done, net_, *average_, *optimizer_); !s.ok()) return s;
    }
    if (stop) return {StatusCode::kCancelled, fmt::format("stopped after step {}", done)};
  }
  return {};
}

KeptTraining Trainer::Training() const {
  KeptTraining training;
  training.config = config_;
  training.demonstrations =
      fmt::format("{}; validation {}", DemosText(train_.corpus()), DemosText(validation_.corpus()));
  training.start = start_;
  return training;
}

Status Trainer::CheckFolder() {
  Result<std::optional<KeptTraining>> kept = ReadKeptTraining(config_.out);
  if (!kept.ok()) return kept.status();
  kept_ = *std::move(kept);
  return kept_ ? CheckSameTraining(*kept_, config_, start_) : Status();
}

Status Trainer::Run(DemoSource& demos, DemoSource& validation) {
  if (Status status = CheckSettings(); !status.ok()) return status;
  if (Status status = Start(); !status.ok()) return status;
  const Result<WriterLock> lock = WriterLock::OfFolder(config_.out);
  if (!lock.ok()) return lock.status();
  if (Status status = CheckFolder(); !status.ok()) return status;
  Result<TrainingSet> train = ReadDemos(demos, "encode demonstrations");
  if (!train.ok()) return train.status();
  Result<TrainingSet> held_out = ReadDemos(validation, "encode validation");
  if (!held_out.ok()) return held_out.status();
  train_ = *std::move(train);
  validation_ = *std::move(held_out);
  if (Status status = Prepare(); !status.ok()) return status;
  if (kept_) {
    if (Status status = CheckSameDemos(*kept_, Training()); !status.ok()) return status;
  }
  return Loop();
}

}  // namespace

Status Train(const TrainConfig& config, DemoSource& demos, DemoSource& validation,
             const TrainHooks& hooks) {
  try {
    return Trainer(config, hooks).Run(demos, validation);
  } catch (const std::exception& e) {
    return InternalError(fmt::format("training: {}", e.what()));
  }
}

}  // namespace kvla

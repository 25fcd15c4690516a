#include "policy/gate_training.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>

#include "base/config_io.h"
#include "base/files.h"
#include "base/json_text.h"
#include "base/rng.h"
#include "base/writer_lock.h"
#include "kv_efficient/chunk_gate.h"
#include "kv_efficient/torch.h"
#include "policy/checkpoint.h"
#include "policy/counterfactual.h"
#include "policy/instruction_reader.h"
#include "policy/side_by_side.h"
#include "policy/train_resume.h"
#include "policy/vla.h"

namespace kvla {
namespace {

constexpr double kGradientNorm = 1.0;
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
  double Epoch(torch::optim::Adam& optimizer, Rng& rng);
  double Loss(const std::vector<LabelledChunks>& set);
  void KeepWeights();
  void TakeBestWeights();
  void Calibrate();
  nlohmann::json Describe();
  std::string LabelTable();
  bool Stopped() const { return hooks_.stop != nullptr && *hooks_.stop; }

  GateTrainConfig config_;
  TrainHooks hooks_;
  Checkpoint policy_;
  std::string policy_hash_;
  std::optional<InstructionReader> reader_;
  ChunkGate gate_{nullptr};
  std::vector<torch::Tensor> best_;  // its weights after the epoch with the least validation loss
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
    SideBySide(read.size(), config_.threads, [&](size_t i) {
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

double GateTrainer::Epoch(torch::optim::Adam& optimizer, Rng& rng) {
  std::vector<int> order(train_.size());
  std::iota(order.begin(), order.end(), 0);
  rng.Shuffle(order);
  double total = 0;
  const torch::Tensor weight = torch::tensor(config_.positive_weight);
  for (const int i : order) {
    optimizer.zero_grad();
    // Features were recorded in inference mode; a clone may take part in autograd.
    const torch::Tensor logits = gate_->Forward(train_[i].features.clone());
    const torch::Tensor loss = torch::binary_cross_entropy_with_logits(
        logits, train_[i].useful.clone(), {}, weight, at::Reduction::Mean);
    loss.backward();
    torch::nn::utils::clip_grad_norm_(gate_->parameters(), kGradientNorm);
    optimizer.step();
    total += loss.item<double>();
  }
  return total / static_cast<double>(train_.size());
}

double GateTrainer::Loss(const std::vector<LabelledChunks>& set) {
  const torch::NoGradGuard no_grad;
  double total = 0;
  for (const LabelledChunks& episode : set) {
    total += torch::binary_cross_entropy_with_logits(
                 gate_->Forward(episode.features), episode.useful, {},
                 torch::tensor(config_.positive_weight), at::Reduction::Mean)
                 .item<double>();
  }
  return total / std::max<double>(1.0, static_cast<double>(set.size()));
}

Status GateTrainer::Fit() {
  torch::optim::Adam optimizer(gate_->parameters(),
                               torch::optim::AdamOptions(config_.learning_rate).weight_decay(1e-4));
  std::ofstream curve(config_.out + ".csv");
  curve << "epoch,train_loss,validation_loss\n";
  Rng rng(StableHash(fmt::format("gate/{}", config_.seed)));
  double best = std::numeric_limits<double>::infinity();
  for (int epoch = 0; epoch < config_.epochs; ++epoch) {
    if (Stopped()) return {StatusCode::kCancelled, "stopped while fitting the gate"};
    const auto begin = std::chrono::steady_clock::now();
    const double share = static_cast<double>(epoch) / config_.epochs;
    for (auto& group : optimizer.param_groups()) {
      group.options().set_lr(config_.learning_rate * (1.0 - 0.95 * share));
    }
    const double loss = Epoch(optimizer, rng);
    const double held_out = Loss(validation_);
    if (held_out < best) {
      best = held_out;
      best_epoch_ = epoch + 1;
      KeepWeights();
    }
    curve << epoch + 1 << ',' << loss << ',' << held_out << '\n' << std::flush;
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    if (hooks_.on_progress) {
      const bool tell = (epoch + 1) % kNoteEvery == 0 || epoch + 1 == config_.epochs;
      hooks_.on_progress({"fit gate", epoch + 1, config_.epochs, loss, seconds.count(),
                          tell ? fmt::format("validation loss {:.4f}", held_out) : ""});
    }
  }
  TakeBestWeights();
  return {};
}

void GateTrainer::KeepWeights() {
  best_.clear();
  for (const torch::Tensor& weight : gate_->parameters()) best_.push_back(weight.detach().clone());
}

void GateTrainer::TakeBestWeights() {
  const torch::NoGradGuard no_grad;
  const std::vector<torch::Tensor> weights = gate_->parameters();
  for (size_t i = 0; i < best_.size(); ++i) weights[i].copy_(best_[i]);
}

void GateTrainer::Calibrate() {
  const torch::NoGradGuard no_grad;
  std::vector<double> useful;  // logits
  for (const LabelledChunks& episode : validation_) {
    const torch::Tensor logits = gate_->Forward(episode.features);
    for (int64_t i = 0; i < logits.size(0); ++i) {
      if (episode.useful[i].item<double>() > 0.5) useful.push_back(logits[i].item<double>());
    }
  }
  if (useful.empty()) return;
  std::sort(useful.begin(), useful.end());
  const auto index =
      static_cast<size_t>(std::floor((1.0 - config_.recall) * static_cast<double>(useful.size())));
  shift_ = useful[std::min(index, useful.size() - 1)];
  gate_->named_parameters()["head.bias"].sub_(shift_);
}

nlohmann::json GateTrainer::Describe() {
  const torch::NoGradGuard no_grad;
  double kept = 0, useful = 0, both = 0, chunks = 0;
  double useful_cue = 0, kept_cue = 0, cue = 0;
  std::map<int, std::pair<int, int>> by_target;  // target -> (episodes, episodes that kept a cue)
  for (const LabelledChunks& episode : validation_) {
    const torch::Tensor open = (gate_->Forward(episode.features) >= 0).to(torch::kFloat32);
    const double hits = (open * episode.useful).sum().item<double>();
    kept += open.sum().item<double>();
    useful += episode.useful.sum().item<double>();
    both += hits;
    chunks += static_cast<double>(open.size(0));
    for (size_t i = 0; i < episode.saw_cue.size(); ++i) {
      if (!episode.saw_cue[i]) continue;
      const auto chunk = static_cast<int64_t>(i);
      ++cue;
      useful_cue += episode.useful[chunk].item<double>();
      kept_cue += open[chunk].item<double>();
    }
    if (episode.target >= 0 && episode.useful.sum().item<double>() > 0) {
      auto& [count, held] = by_target[episode.target];
      ++count;
      if (hits > 0) ++held;
    }
  }
  nlohmann::json out = {{"validation_episodes", validation_.size()},
                        {"training_episodes", train_.size()},
                        {"epoch", best_epoch_},
                        {"chunks", chunks},
                        {"useful", useful},
                        {"kept", kept},
                        {"precision", kept > 0 ? both / kept : 0.0},
                        {"recall", useful > 0 ? both / useful : 0.0},
                        {"cue_chunks", {{"all", cue}, {"useful", useful_cue}, {"kept", kept_cue}}},
                        {"logit_shift", shift_}};
  for (const auto& [target, counts] : by_target) {
    out["kept_rate_by_target"][std::to_string(target)] = {
        {"episodes", counts.first}, {"kept", static_cast<double>(counts.second) / counts.first}};
  }
  return out;
}

// One row a chunk of the validation demonstrations.
std::string GateTrainer::LabelTable() {
  const torch::NoGradGuard no_grad;
  std::string table = "episode,target,chunk,saw_cue,loss_drop,useful,logit\n";
  for (size_t e = 0; e < validation_.size(); ++e) {
    const LabelledChunks& episode = validation_[e];
    const torch::Tensor logits = gate_->Forward(episode.features);
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
  if (Status s = CheckSameGate(config_); !s.ok()) return s;
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
  Calibrate();
  const std::string report = JsonText(Describe(), 2) + "\n";
  if (Status s = WriteFileAtomic(config_.out + ".json", report); !s.ok()) return s;
  if (Status s = WriteFileAtomic(config_.out + ".labels.csv", LabelTable()); !s.ok()) return s;
  return SaveGate(gate_, config_.out,
                  {{"gate_config", PrintConfig(config_)}, {kGatePolicyKey, policy_hash_}});
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

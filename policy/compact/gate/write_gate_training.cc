// SPDX-License-Identifier: Apache-2.0
#include "policy/compact/gate/write_gate_training.h"

#include <fmt/format.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "base/config_io.h"
#include "base/files.h"
#include "base/json_text.h"
#include "kv_efficient/methods/learned/chunk_gate.h"
#include "kv_efficient/methods/learned/write_gate.h"
#include "policy/compact/gate/frozen_policy.h"
#include "policy/compact/gate/write_gate_fit.h"
#include "policy/compact/training/encode_episode.h"
#include "policy/compact/training/losses.h"
#include "policy/compact/training/minibatch.h"
#include "policy/compact/training/sub_history.h"
#include "policy/compact/training/training_forward.h"
#include "tensors/torch.h"

namespace kvla {
namespace {

// A demonstration as the policy sees it, without a label.
struct EncodedDemo {
  DemoEpisode episode;
  torch::Tensor instruction;
  torch::Tensor encoded;  // [blocks, tokens, hidden], half
};

// What the policy says at every block, as far as it can be told apart: actions, and how likely it
// finds closing the gripper and each class.
torch::Tensor OutputDistance(const HeadOutputs& teacher, const HeadOutputs& student) {
  const torch::Tensor odds = torch::log_softmax(teacher.target, -1);
  const torch::Tensor classes =
      (odds.exp() * (odds - torch::log_softmax(student.target, -1))).sum(-1).mean();
  return ActionDistance(teacher, student) + classes;
}

class WriteGateTrainer {
 public:
  WriteGateTrainer(const WriteGateTrainConfig& config, const TrainHooks& hooks)
      : config_(config), hooks_(hooks) {}

  Status Run(DemoSource& demos, DemoSource& validation);

 private:
  struct Held {
    double distance = 0, kept = 0;
  };

  Status Encode(const char* phase, DemoSource& source, int episodes, std::vector<EncodedDemo>* out);
  SubHistory DrawHistory(const EncodedDemo& demo, Rng rng) const;
  torch::Tensor Distance(const EncodedDemo& demo, SubHistory history, GatedPass& pass);
  Held Validate(Opening opening);
  Status Fit();
  bool Stopped() const { return hooks_.stop != nullptr && *hooks_.stop; }

  WriteGateTrainConfig config_;
  TrainHooks hooks_;
  double begun_ = CpuMinutes(), encoded_ = 0;  // CPU minutes
  std::optional<FrozenPolicy> policy_;
  WriteGate gate_{nullptr};
  std::vector<EncodedDemo> train_, validation_;
  WriteGateStep last_;
};

Status WriteGateTrainer::Encode(const char* phase, DemoSource& source, int episodes,
                                std::vector<EncodedDemo>* out) {
  return MapDemos<EncodedDemo>(
      *policy_, source, {phase, config_.task, episodes, config_.threads}, hooks_,
      [&](const FrozenDemo& demo) -> Result<EncodedDemo> {
        const torch::Tensor encoded = EncodeEpisode(policy_->checkpoint.net, demo.episode);
        return EncodedDemo{Unlabelled(demo.episode), demo.instruction, encoded.to(torch::kHalf)};
      },
      out);
}

// A run that ends anywhere, and older chunks by chance: without labels nothing else is to be had.
SubHistory WriteGateTrainer::DrawHistory(const EncodedDemo& demo, Rng rng) const {
  const PolicyConfig& sizes = policy_->checkpoint.config;
  SubHistoryOptions options;
  options.max_blocks = config_.sample_blocks;
  options.chunk_blocks = sizes.chunk_blocks;
  options.replan_steps = sizes.replan_steps;
  options.decision_share = 0;
  return DrawSubHistory(demo.episode, options, rng);
}

torch::Tensor WriteGateTrainer::Distance(const EncodedDemo& demo, SubHistory history,
                                         GatedPass& pass) {
  VlaNet& net = policy_->checkpoint.net;
  Batch batch = MakeBatch({&demo.episode}, {std::move(history)}, net->config(), demo.instruction);
  batch.encoded = GatherEncoded(batch, {demo.encoded});
  torch::Tensor full;
  {
    const torch::NoGradGuard no_grad;
    full = TrainingHidden(net, batch);
  }
  const torch::Tensor gated = TrainingHidden(
      net, batch,
      [&pass](int layer, const torch::Tensor& q, const torch::Tensor& k, const torch::Tensor& v,
              const TrainingPlan& plan) { return pass.Attend(layer, q, k, v, plan); });
  if (config_.method == "dms") {
    return OutputDistance(HeadsOf(net, full, batch, Told::kNothing),
                          HeadsOf(net, gated, batch, Told::kNothing));
  }
  return (gated - full).square().mean() / full.square().mean();
}

WriteGateTrainer::Held WriteGateTrainer::Validate(Opening opening) {
  std::vector<Held> all(validation_.size());
  RunParallelTorchJobs(validation_.size(), config_.threads, [&](size_t i) {
    const torch::NoGradGuard no_grad;
    GatedPass pass(gate_, {.opening = opening});
    const Rng rng(StableHash(fmt::format("write_gate_validation/{}", i)));
    all[i].distance =
        Distance(validation_[i], DrawHistory(validation_[i], rng), pass).item<double>();
    all[i].kept = pass.kept().item<double>();
  });
  Held mean;
  for (const Held& one : all) {
    mean.distance += one.distance / static_cast<double>(all.size());
    mean.kept += one.kept / static_cast<double>(all.size());
  }
  return mean;
}

Status WriteGateTrainer::Fit() {
  std::ofstream curve(config_.out + ".csv");
  curve << "step,loss,distance,kept,validation_distance,validation_kept\n";
  const auto teacher = [&](int step, size_t part, GatedPass& pass) {
    Rng rng(StableHash(fmt::format("write_gate_history/{}/{}/{}", config_.seed, step, part)));
    const EncodedDemo& demo = train_[rng.UniformInt(static_cast<int>(train_.size()))];
    return Distance(demo, DrawHistory(demo, rng), pass);
  };
  std::function<double()> spent;
  if (config_.minutes > 0) spent = [&] { return (CpuMinutes() - begun_) / config_.minutes; };
  return FitWriteGate(config_, teacher, spent, gate_, [&](const WriteGateStep& step) {
    last_ = step;
    curve << fmt::format("{},{:.6g},{:.6g},{:.4f}", step.number, step.loss, step.distance,
                         step.kept);
    std::string note;
    if (step.number % config_.validate_every == 0 || step.number == config_.steps) {
      const Held now = Validate(Opening::kHard);
      curve << fmt::format(",{:.6g},{:.4f}", now.distance, now.kept);
      note = fmt::format("validation: keeps {:.3f}, distance {:.4g}", now.kept, now.distance);
    } else {
      curve << ",,";
    }
    curve << '\n' << std::flush;
    if (hooks_.on_progress) {
      hooks_.on_progress(
          {"fit write gate", step.number, config_.steps, step.loss, step.seconds, note});
    }
    return !Stopped();
  });
}

Status WriteGateTrainer::Run(DemoSource& demos, DemoSource& validation) {
  const Result<WriterLock> lock =
      BeginGateTraining(config_, PrintConfig(config_), hooks_, &policy_);
  if (!lock.ok()) return lock.status();
  if (Status s = Encode("encode demonstrations", demos, config_.episodes, &train_); !s.ok()) {
    return s;
  }
  if (Status s = Encode("encode validation demonstrations", validation, config_.validation_episodes,
                        &validation_);
      !s.ok()) {
    return s;
  }
  if (train_.empty() || validation_.empty()) {
    return BadInput(fmt::format("there is no demonstration of task '{}'", config_.task));
  }
  encoded_ = CpuMinutes();
  const PolicyConfig& sizes = policy_->checkpoint.config;
  WriteGateShape shape{sizes.num_layers, sizes.num_kv_heads, sizes.head_dim()};
  if (config_.method == "dms") shape.hidden = 0;
  gate_ = WriteGate(shape);
  const Held shut = Validate(Opening::kShut);
  if (Status s = Fit(); !s.ok()) return s;
  const Held held = Validate(Opening::kHard);
  const double minutes = CpuMinutes() - begun_;
  const nlohmann::json report = {
      {"method", config_.method},
      {"training_episodes", train_.size()},
      {"validation_episodes", validation_.size()},
      {"steps", last_.number},
      {"cpu_minutes", {{"encoding", encoded_ - begun_}, {"all", minutes}}},
      {"last_step", {{"loss", last_.loss}, {"distance", last_.distance}, {"kept", last_.kept}}},
      {"validation",
       {{"kept", held.kept}, {"distance", held.distance}, {"window_distance", shut.distance}}}};
  if (Status s = WriteFileAtomic(config_.out + ".json", JsonText(report, 2) + "\n"); !s.ok()) {
    return s;
  }
  return SaveWriteGate(gate_, config_.method, config_.out,
                       {{"gate_config", PrintConfig(config_)},
                        {"steps", std::to_string(last_.number)},
                        {"cpu_minutes", fmt::format("{:.2f}", minutes)},
                        {kGatePolicyKey, policy_->hash}});
}

}  // namespace

Status TrainWriteGate(const WriteGateTrainConfig& config, DemoSource& demos, DemoSource& validation,
                      const TrainHooks& hooks) {
  try {
    return WriteGateTrainer(config, hooks).Run(demos, validation);
  } catch (const std::exception& e) {
    return InternalError(fmt::format("write gate training: {}", e.what()));
  }
}

}  // namespace kvla

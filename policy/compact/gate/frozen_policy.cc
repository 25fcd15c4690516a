// SPDX-License-Identifier: Apache-2.0
#include "policy/compact/gate/frozen_policy.h"

#include <algorithm>
#include <chrono>
#include <ctime>

#include "policy/compact/checkpoint_hash.h"
#include "policy/compact/training/train_resume.h"

namespace kvla {
namespace {

constexpr int kEpisodesAtOnce = 8;

}  // namespace

Result<FrozenPolicy> LoadFrozenPolicy(const std::filesystem::path& folder,
                                      const std::filesystem::path& text_encoder) {
  Result<Checkpoint> checkpoint = LoadCheckpoint(folder);
  if (!checkpoint.ok()) return checkpoint.status();
  if (Status s = CheckKeepsCache(checkpoint->config, folder.string()); !s.ok()) return s;
  Result<std::string> hash = CheckpointHash(folder);
  if (!hash.ok()) return hash.status();
  Result<InstructionReader> reader = InstructionReader::Create(checkpoint->config, text_encoder);
  if (!reader.ok()) return reader.status();
  checkpoint->net->eval();
  for (torch::Tensor& weight : checkpoint->net->parameters()) weight.set_requires_grad(false);
  return FrozenPolicy{*std::move(checkpoint), *std::move(hash), *std::move(reader)};
}

Result<WriterLock> BeginGateTraining(const GateTrainSetup& setup, const std::string& printed,
                                     const TrainHooks& hooks, std::optional<FrozenPolicy>* policy) {
  torch::manual_seed(setup.seed);
  torch::set_num_threads(setup.threads);
  Result<FrozenPolicy> loaded = LoadFrozenPolicy(setup.checkpoint, hooks.text_encoder);
  if (!loaded.ok()) return loaded.status();
  *policy = *std::move(loaded);
  Result<WriterLock> lock = WriterLock::OfFile(setup.out);
  if (!lock.ok()) return lock.status();
  if (Status s = CheckSameGate(setup.out, printed); !s.ok()) return s;
  return lock;
}

DemoEpisode Unlabelled(const DemoEpisode& episode) {
  DemoEpisode bare;
  bare.where = episode.where;
  bare.task = episode.task;
  bare.instruction = episode.instruction;
  bare.episode = episode.episode;
  bare.steps = episode.steps;
  bare.blocks = episode.blocks;
  bare.proprio = episode.proprio;
  bare.targets = episode.targets;
  const auto steps = static_cast<size_t>(episode.steps);
  bare.waypoints.assign(steps, {});
  bare.target_class.assign(steps, -1);
  bare.decision.assign(steps, 0);
  return bare;
}

Status ReadDemos(FrozenPolicy& policy, DemoSource& source, const DemoPass& pass,
                 const TrainHooks& hooks,
                 const std::function<Status(const std::vector<FrozenDemo>&)>& group) {
  const int total = std::min(pass.episodes, source.size());
  for (int first = 0; first < total; first += kEpisodesAtOnce) {
    if (hooks.stop != nullptr && *hooks.stop) {
      return {StatusCode::kCancelled, std::string("stopped: ") + pass.phase};
    }
    const auto begin = std::chrono::steady_clock::now();
    const int end = std::min(total, first + kEpisodesAtOnce);
    std::vector<FrozenDemo> read;
    for (int i = first; i < end; ++i) {
      Result<DemoEpisode> episode =
          source.Read(static_cast<int>(int64_t{i} * source.size() / total));
      if (!episode.ok()) return episode.status();
      if (Status s = CheckDemo(*episode, policy.checkpoint.config); !s.ok()) return s;
      if (!pass.task.empty() && episode->task != pass.task) continue;
      const Result<torch::Tensor> instruction = policy.reader.Read(episode->instruction);
      if (!instruction.ok()) return instruction.status();
      read.push_back({*std::move(episode), *instruction, i, total});
    }
    if (Status s = group(read); !s.ok()) return s;
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    if (hooks.on_progress) {
      hooks.on_progress({pass.phase, end, total, 0.0, seconds.count() / (end - first), ""});
    }
  }
  return {};
}

double CpuMinutes() {
  timespec used{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return (static_cast<double>(used.tv_sec) + 1e-9 * static_cast<double>(used.tv_nsec)) / 60;
}

}  // namespace kvla

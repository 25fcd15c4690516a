// SPDX-License-Identifier: Apache-2.0
#include "policy/compact/gate/counterfactual.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "kv_efficient/methods/cache_policy.h"
#include "policy/compact/gate/frozen_policy.h"
#include "policy/compact/gate/needed_chunks.h"
#include "policy/compact/gate/recorded_cache.h"
#include "policy/compact/training/encode_episode.h"

namespace kvla {
namespace {

KvFormat StorageOf(const GateTrainConfig& config) {
  return KvFormatNamed(config.storage).value_or(KvFormat::kF32);  // one of its names
}

// What the report says of an episode, labels and all.
void Describe(const DemoEpisode& episode, const PolicyConfig& sizes, LabelledChunks* labelled) {
  labelled->task = episode.task;
  labelled->saw_cue.resize(labelled->drops.size());
  for (const auto& [begin, end] : episode.cue_blocks) {
    if (labelled->onset_block < 0 || begin < labelled->onset_block) labelled->onset_block = begin;
    for (int block = begin; block < end; ++block) {
      const size_t chunk = static_cast<size_t>(block) / sizes.chunk_blocks;
      if (chunk < labelled->saw_cue.size()) labelled->saw_cue[chunk] = true;
    }
  }
  const std::vector<int> decisions = DecisionBlocks(episode, sizes.replan_steps);
  if (decisions.empty()) return;
  labelled->target =
      episode.target_class[static_cast<size_t>(decisions.front()) * sizes.replan_steps];
}

}  // namespace

std::vector<double> GiveBackDrops(int chunks, const KeptLosses& losses) {
  const double bare = losses({std::set<int>()}).front();
  std::vector<std::set<int>> alone;
  for (int chunk = 0; chunk < chunks; ++chunk) alone.push_back({chunk});
  std::vector<double> drops;
  for (const double with : losses(alone)) drops.push_back(std::max(0.0, bare - with));
  return drops;
}

std::vector<double> TakeAwayDrops(int chunks, const KeptLosses& losses, double tolerance) {
  std::vector<int> all(static_cast<size_t>(chunks));
  std::iota(all.begin(), all.end(), 0);
  const auto loss = [&](const std::set<int>& kept) { return losses({kept}).front(); };
  std::vector<double> drops(static_cast<size_t>(chunks), 0.0);
  for (const auto& [chunk, rise] : NeededChunks(all, loss, tolerance)) {
    drops[static_cast<size_t>(chunk)] = std::max(0.0, rise);
  }
  return drops;
}

std::set<int> StandIns(const std::vector<double>& drops, const KeptLosses& losses,
                       double tolerance) {
  std::set<int> few;
  for (size_t chunk = 0; chunk < drops.size(); ++chunk) {
    if (drops[chunk] > 0) few.insert(static_cast<int>(chunk));
  }
  if (few.empty()) return {};
  std::vector<std::set<int>> pairs = {few};
  std::vector<int> others;
  for (const int chunk : few) {
    for (const int other : {chunk - 1, chunk + 1}) {
      if (other < 0 || other >= std::ssize(drops) || few.contains(other)) continue;
      std::set<int> swapped = few;
      swapped.erase(chunk);
      swapped.insert(other);
      pairs.push_back(std::move(swapped));
      others.push_back(other);
    }
  }
  const std::vector<double> loss = losses(pairs);
  std::set<int> stand_ins;
  for (size_t i = 0; i < others.size(); ++i) {
    if (loss[i + 1] < loss[0] + tolerance) stand_ins.insert(others[i]);
  }
  return stand_ins;
}

ChunkWorth CounterfactualDrops(VlaNet& net, const torch::Tensor& instruction,
                               const torch::Tensor& encoded, const DemoEpisode& episode,
                               const GateTrainConfig& config) {
  const PolicyConfig& sizes = net->config();
  const DemoEpisode read = config.teacher == "actions" ? Unlabelled(episode) : episode;
  const SceneLosses scene_losses(net, instruction, encoded, read, config);
  const std::vector<Scene> scenes = ScenesOf(scene_losses, read, sizes, config);
  ChunkWorth worth;
  worth.scenes = static_cast<int>(scenes.size());
  if (scenes.empty()) return worth;
  worth.drops.assign(static_cast<size_t>(episode.blocks / sizes.chunk_blocks), 0.0);
  double most = -1;
  for (const Scene& scene : scenes) {
    const KeptLosses losses = [&](const std::vector<std::set<int>>& kept) {
      std::vector<SubHistory> histories;
      for (const std::set<int>& set : kept) {
        histories.push_back(HistoryWith(set, scene, sizes.chunk_blocks, KeepAction(config.keep)));
      }
      return scene_losses.OfEnds(std::move(histories), config.scene_blocks, StorageOf(config));
    };
    const std::vector<double> now = config.find == "each"
                                        ? GiveBackDrops(scene.left, losses)
                                        : TakeAwayDrops(scene.left, losses, config.useful_drop);
    if (config.find == "pairs") worth.stand_ins.merge(StandIns(now, losses, config.useful_drop));
    for (size_t chunk = 0; chunk < now.size(); ++chunk) {
      worth.drops[chunk] = std::max(worth.drops[chunk], now[chunk]);
    }
    const double total = std::accumulate(now.begin(), now.end(), 0.0);
    if (total > most) {
      most = total;
      worth.needy = scene;
    }
  }
  return worth;
}

Result<LabelledChunks> LabelChunks(VlaNet& net, const torch::Tensor& instruction,
                                   const DemoEpisode& episode, const GateTrainConfig& config,
                                   bool with_change) {
  const c10::InferenceMode inference_mode;
  LabelledChunks labelled;
  const torch::Tensor encoded = EncodeEpisode(net, episode);
  const ChunkWorth worth = CounterfactualDrops(net, instruction, encoded, episode, config);
  labelled.drops = worth.drops;
  labelled.scenes = worth.scenes;
  std::set<int> useful;
  for (size_t chunk = 0; chunk < labelled.drops.size(); ++chunk) {
    if (labelled.drops[chunk] >= config.useful_drop) useful.insert(static_cast<int>(chunk));
  }
  const Result<std::vector<torch::Tensor>> features =
      RecordFeatures(net, instruction, encoded, useful, config);
  if (!features.ok()) return features.status();
  if (features->empty()) return labelled;
  // Chunks still in the window at the end never met the gate.
  const auto chunks = static_cast<int64_t>(features->size());
  labelled.drops.resize(features->size(), 0.0);
  labelled.features = torch::stack(*features);
  labelled.useful = torch::zeros({chunks});
  labelled.counts = torch::ones({chunks});
  for (const int chunk : useful) {
    if (chunk < chunks) labelled.useful[chunk] = 1.0;
  }
  for (const int chunk : worth.stand_ins) {
    if (chunk < chunks && !useful.contains(chunk)) labelled.counts[chunk] = 0.0;
  }
  Describe(episode, net->config(), &labelled);
  if (with_change && worth.needy) {
    Result<std::vector<double>> changes =
        ActionChanges(net, instruction, encoded, episode, *worth.needy, config);
    if (!changes.ok()) return changes.status();
    labelled.change = *std::move(changes);
  }
  return labelled;
}

}  // namespace kvla

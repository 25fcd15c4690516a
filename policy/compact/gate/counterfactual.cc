// SPDX-License-Identifier: Apache-2.0
#include "policy/compact/gate/counterfactual.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "kv_efficient/kv_cache.h"
#include "kv_efficient/methods/learned/chunk_gate.h"
#include "kv_efficient/methods/method_table.h"
#include "policy/compact/gate/needed_chunks.h"
#include "policy/compact/net/cached_forward.h"
#include "policy/compact/training/encode_episode.h"
#include "policy/compact/training/losses.h"
#include "policy/compact/training/minibatch.h"
#include "policy/compact/training/training_forward.h"

namespace kvla {
namespace {

constexpr size_t kCounterfactualsAtOnce = 12;

// Losses of one demonstration's histories, over the last blocks of each.
class DecisionLosses {
 public:
  DecisionLosses(VlaNet& net, const torch::Tensor& instruction, const torch::Tensor& encoded,
                 const DemoEpisode& episode, int decision_blocks)
      : net_(net),
        instruction_(instruction),
        encoded_(encoded),
        episode_(episode),
        decision_blocks_(decision_blocks) {}

  std::vector<double> Of(std::vector<SubHistory> histories) const {
    const size_t count = histories.size();
    Batch batch = MakeBatch(std::vector<const DemoEpisode*>(count, &episode_), std::move(histories),
                            net_->config(), instruction_);
    batch.encoded = GatherEncoded(batch, std::vector<torch::Tensor>(count, encoded_));
    const BlockLosses losses = ComputeLosses(TrainingForward(net_, batch, Told::kNothing), batch);
    const torch::Tensor loss = ActionLoss(losses) + losses.waypoint + losses.target + losses.goal;
    std::vector<double> means;
    for (size_t i = 0; i < count; ++i) {  // shorter ones are padded behind their end
      const auto end = static_cast<int64_t>(batch.histories[i].blocks.size());
      means.push_back(loss[static_cast<int64_t>(i)]
                          .narrow(0, end - decision_blocks_, decision_blocks_)
                          .mean()
                          .item<double>());
    }
    return means;
  }

 private:
  VlaNet& net_;
  const torch::Tensor& instruction_;
  const torch::Tensor& encoded_;
  const DemoEpisode& episode_;
  int decision_blocks_;
};

// Not a method of its own: keeps the chunks it is told to and records what it is shown.
class FeatureRecorder : public CachePolicy {
 public:
  FeatureRecorder(std::set<int> kept, ChunkAction keep, std::vector<torch::Tensor>* features)
      : CachePolicy({.keep = keep}), kept_(std::move(kept)), features_(features) {}
  Needs needs() const override { return {.keys_values = true}; }
  float Score(const ChunkView& chunk) override {
    features_->push_back(GateFeatures(chunk.keys, chunk.values).clone());
    return kept_.contains(chunk.chunk) ? 1.0F : 0.0F;
  }
  std::unique_ptr<CachePolicy> Clone() const override {
    return std::make_unique<FeatureRecorder>(*this);
  }
  MethodCost cost() const override { return {}; }  // what it records is for training

 protected:
  bool keeps(float score) const override { return score > 0; }

 private:
  std::set<int> kept_;
  std::vector<torch::Tensor>* features_;
};

Status RunThroughCache(VlaNet& net, const torch::Tensor& instruction, const torch::Tensor& encoded,
                       KvCache& cache) {
  cache.Reset({});
  if (Status s = FeedInstruction(net, instruction, cache); !s.ok()) return s;
  for (int64_t block = 0; block < encoded.size(0); ++block) {
    if (Status status = cache.BeginBlock(); !status.ok()) return status;
    FeedBlock(net, encoded[block], cache);
    if (Status status = cache.EndBlock(); !status.ok()) return status;
  }
  return {};
}

}  // namespace

std::vector<int> DecisionBlocks(const DemoEpisode& episode, int replan_steps) {
  std::vector<int> blocks;
  int before = -1;
  for (int block = 0; block < episode.blocks; ++block) {
    const size_t step = static_cast<size_t>(block) * replan_steps;
    const int target = episode.decision[step] != 0 ? episode.target_class[step] : -1;
    if (target >= 0 && target != before) blocks.push_back(block);
    before = target;
  }
  return blocks;
}

DecisionScene SceneAt(int decision_block, int decision_blocks, const BlockSchedule& schedule) {
  const int end = decision_block + decision_blocks;
  return {schedule.NearBegin(decision_block), decision_block, end, schedule.LeftChunks(end - 1)};
}

SubHistory HistoryWith(const std::set<int>& kept, const DecisionScene& scene, int chunk_blocks,
                       ChunkAction keep) {
  SubHistory history;
  history.holds_cue = true;  // the labels are wanted whether or not the cue is in sight
  const int first_seen_chunk = scene.first_seen / chunk_blocks;
  for (int chunk = 0; chunk < scene.left; ++chunk) {
    const bool held = kept.contains(chunk);
    if (!held && chunk < first_seen_chunk) continue;
    for (int b = 0; chunk < first_seen_chunk && b < chunk_blocks; ++b) {
      history.blocks.push_back(chunk * chunk_blocks + b);
    }
    ChunkDecision decision;
    decision.chunk = chunk;
    decision.action = held ? keep : ChunkAction::kDropped;
    history.decisions.push_back(decision);
  }
  for (int b = scene.first_seen; b < scene.end; ++b) history.blocks.push_back(b);
  return history;
}

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

std::vector<double> CounterfactualDrops(VlaNet& net, const torch::Tensor& instruction,
                                        const torch::Tensor& encoded, const DemoEpisode& episode,
                                        const GateTrainConfig& config) {
  const torch::NoGradGuard no_grad;
  const PolicyConfig& sizes = net->config();
  const BlockSchedule schedule(sizes.window_blocks, sizes.chunk_blocks);
  const DecisionLosses decision_losses(net, instruction, encoded, episode, config.decision_blocks);
  std::vector<double> drops(static_cast<size_t>(episode.blocks / sizes.chunk_blocks), 0.0);
  bool any = false;
  for (const int decision : DecisionBlocks(episode, sizes.replan_steps)) {
    const DecisionScene scene = SceneAt(decision, config.decision_blocks, schedule);
    if (scene.end > episode.blocks || scene.left == 0) continue;
    any = true;
    const KeptLosses losses = [&](const std::vector<std::set<int>>& kept) {
      std::vector<double> all;
      for (size_t first = 0; first < kept.size(); first += kCounterfactualsAtOnce) {
        std::vector<SubHistory> histories;
        for (size_t i = first; i < std::min(kept.size(), first + kCounterfactualsAtOnce); ++i) {
          histories.push_back(
              HistoryWith(kept[i], scene, sizes.chunk_blocks, KeepAction(config.keep)));
        }
        const std::vector<double> some = decision_losses.Of(std::move(histories));
        all.insert(all.end(), some.begin(), some.end());
      }
      return all;
    };
    const std::vector<double> now = config.find == "each"
                                        ? GiveBackDrops(scene.left, losses)
                                        : TakeAwayDrops(scene.left, losses, config.useful_drop);
    for (size_t chunk = 0; chunk < now.size(); ++chunk) {
      drops[chunk] = std::max(drops[chunk], now[chunk]);
    }
  }
  return any ? drops : std::vector<double>();
}

Result<LabelledChunks> LabelChunks(VlaNet& net, const torch::Tensor& instruction,
                                   const DemoEpisode& episode, const GateTrainConfig& config) {
  const c10::InferenceMode inference_mode;
  const PolicyConfig& sizes = net->config();
  LabelledChunks labelled;
  const torch::Tensor encoded = EncodeEpisode(net, episode);
  labelled.drops = CounterfactualDrops(net, instruction, encoded, episode, config);
  std::set<int> useful;
  for (size_t chunk = 0; chunk < labelled.drops.size(); ++chunk) {
    if (labelled.drops[chunk] >= config.useful_drop) useful.insert(static_cast<int>(chunk));
  }
  std::vector<torch::Tensor> features;
  CacheConfig cache_config;
  cache_config.window_blocks = sizes.window_blocks;
  cache_config.chunk_blocks = sizes.chunk_blocks;
  Result<std::unique_ptr<KvCache>> cache = KvCache::Create(
      GeometryOf(sizes, sizes.instruction_capacity(), episode.blocks), cache_config,
      std::make_unique<FeatureRecorder>(useful, KeepAction(config.keep), &features), torch::kCPU);
  if (!cache.ok()) return cache.status();
  if (Status status = RunThroughCache(net, instruction, encoded, **cache); !status.ok()) {
    return status;
  }
  if (features.empty()) return labelled;
  // Chunks still in the window at the end never met the gate.
  labelled.drops.resize(features.size(), 0.0);
  labelled.features = torch::stack(features);
  labelled.useful = torch::zeros({static_cast<int64_t>(features.size())});
  for (const int chunk : useful) {
    if (chunk < static_cast<int>(features.size())) labelled.useful[chunk] = 1.0;
  }
  labelled.saw_cue.resize(features.size());
  for (const auto& [begin, end] : episode.cue_blocks) {
    for (int block = begin; block < end; ++block) {
      const size_t chunk = static_cast<size_t>(block) / sizes.chunk_blocks;
      if (chunk < features.size()) labelled.saw_cue[chunk] = true;
    }
  }
  const std::vector<int> decisions = DecisionBlocks(episode, sizes.replan_steps);
  if (!decisions.empty()) {
    labelled.target = episode.target_class[decisions.front() * sizes.replan_steps];
  }
  return labelled;
}

}  // namespace kvla

// SPDX-License-Identifier: Apache-2.0
#include "policy/compact/gate/scene.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "kv_efficient/training/stored_attention.h"
#include "policy/compact/training/losses.h"
#include "policy/compact/training/minibatch.h"
#include "policy/compact/training/training_forward.h"

namespace kvla {
namespace {

constexpr size_t kHistoriesAtOnce = 12;

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

Scene SceneAt(int block, int blocks, const BlockSchedule& schedule) {
  const int end = block + blocks;
  return {schedule.NearBegin(block), block, end, schedule.LeftChunks(end - 1)};
}

SubHistory HistoryWith(const std::set<int>& kept, const Scene& scene, int chunk_blocks,
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

SceneLosses::SceneLosses(VlaNet& net, const torch::Tensor& instruction,
                         const torch::Tensor& encoded, const DemoEpisode& episode,
                         const GateTrainConfig& config)
    : net_(net),
      instruction_(instruction),
      encoded_(encoded),
      episode_(episode),
      everything_(config.teacher == "everything") {}

torch::Tensor SceneLosses::Of(std::vector<SubHistory> histories, KvFormat format) const {
  const torch::NoGradGuard no_grad;
  const size_t count = histories.size();
  Batch batch = MakeBatch(std::vector<const DemoEpisode*>(count, &episode_), std::move(histories),
                          net_->config(), instruction_);
  batch.encoded = GatherEncoded(batch, std::vector<torch::Tensor>(count, encoded_));
  const auto attend = [format](int, const torch::Tensor& q, const torch::Tensor& k,
                               const torch::Tensor& v, const TrainingPlan& plan) {
    return StoredAttention(q, k, v, plan, format);
  };
  const BlockLosses losses =
      ComputeLosses(TrainingForward(net_, batch, Told::kNothing, attend), batch);
  const torch::Tensor actions = ActionLoss(losses);
  return everything_ ? actions + losses.waypoint + losses.target + losses.goal : actions;
}

std::vector<double> SceneLosses::WithWholeHistory() const {
  SubHistory whole;
  whole.holds_cue = true;
  whole.blocks.resize(static_cast<size_t>(episode_.blocks));
  std::iota(whole.blocks.begin(), whole.blocks.end(), 0);
  const torch::Tensor loss = Of({whole}, KvFormat::kF32)[0].to(torch::kFloat64).contiguous();
  return {loss.const_data_ptr<double>(), loss.const_data_ptr<double>() + loss.numel()};
}

std::vector<double> SceneLosses::OfEnds(std::vector<SubHistory> histories, int blocks,
                                        KvFormat format) const {
  std::vector<double> means;
  for (size_t first = 0; first < histories.size(); first += kHistoriesAtOnce) {
    const size_t count = std::min(histories.size() - first, kHistoriesAtOnce);
    const auto begin = histories.begin() + static_cast<std::ptrdiff_t>(first);
    std::vector<SubHistory> some(begin, begin + static_cast<std::ptrdiff_t>(count));
    std::vector<int64_t> ends;  // shorter ones are padded behind their end
    for (const SubHistory& h : some) ends.push_back(std::ssize(h.blocks));
    const torch::Tensor loss = Of(std::move(some), format);
    for (size_t i = 0; i < count; ++i) {
      means.push_back(
          loss[static_cast<int64_t>(i)].narrow(0, ends[i] - blocks, blocks).mean().item<double>());
    }
  }
  return means;
}

std::vector<Scene> NeedyScenes(const SceneLosses& losses, int blocks, const PolicyConfig& sizes,
                               const GateTrainConfig& config) {
  const BlockSchedule schedule(sizes.window_blocks, sizes.chunk_blocks);
  std::vector<Scene> tiles;
  std::vector<SubHistory> alone;
  for (int block = 0; block + config.scene_blocks <= blocks; block += config.scene_blocks) {
    const Scene scene = SceneAt(block, config.scene_blocks, schedule);
    if (scene.left == 0) continue;
    tiles.push_back(scene);
    alone.push_back(HistoryWith({}, scene, sizes.chunk_blocks, ChunkAction::kWhole));
  }
  if (tiles.empty()) return {};
  const std::vector<double> whole = losses.WithWholeHistory();
  const std::vector<double> window =
      losses.OfEnds(std::move(alone), config.scene_blocks, KvFormat::kF32);
  std::vector<std::pair<double, size_t>> gains;  // what the history buys, tile
  for (size_t i = 0; i < tiles.size(); ++i) {
    const double with =
        std::accumulate(whole.begin() + tiles[i].begin, whole.begin() + tiles[i].end, 0.0) /
        config.scene_blocks;
    if (window[i] - with >= config.history_gain) gains.emplace_back(with - window[i], i);
  }
  std::ranges::sort(gains);
  gains.resize(std::min(gains.size(), static_cast<size_t>(config.scenes)));
  std::ranges::sort(gains, {}, &std::pair<double, size_t>::second);
  std::vector<Scene> needy;
  for (const auto& [gain, tile] : gains) needy.push_back(tiles[tile]);
  return needy;
}

std::vector<Scene> ScenesOf(const SceneLosses& losses, const DemoEpisode& episode,
                            const PolicyConfig& sizes, const GateTrainConfig& config) {
  if (config.teacher == "actions") return NeedyScenes(losses, episode.blocks, sizes, config);
  const BlockSchedule schedule(sizes.window_blocks, sizes.chunk_blocks);
  std::vector<Scene> scenes;
  for (const int decision : DecisionBlocks(episode, sizes.replan_steps)) {
    const Scene scene = SceneAt(decision, config.scene_blocks, schedule);
    if (scene.end <= episode.blocks && scene.left > 0) scenes.push_back(scene);
  }
  return scenes;
}

}  // namespace kvla

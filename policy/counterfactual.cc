#include "policy/counterfactual.h"

#include <algorithm>
#include <set>
#include <utility>

#include "kv_efficient/chunk_gate.h"
#include "kv_efficient/kv_cache.h"
#include "policy/batch.h"
#include "policy/cached_forward.h"
#include "policy/encode_episode.h"
#include "policy/losses.h"
#include "policy/training_forward.h"

namespace kvla {
namespace {

constexpr int kCounterfactualsAtOnce = 12;

int FirstDecisionBlock(const DemoEpisode& episode, int replan_steps) {
  for (int block = 0; block < episode.blocks; ++block) {
    if (episode.decision[block * replan_steps] != 0) return block;
  }
  return -1;
}

// The recent run [tail_begin, end) behind one old chunk, which is given back or dropped.
SubHistory WithOneChunk(int chunk, ChunkAction action, int chunk_blocks, int tail_begin, int end) {
  SubHistory history;
  history.holds_cue = true;  // the labels are wanted whether or not the cue is in sight
  for (int b = 0; b < chunk_blocks; ++b) history.blocks.push_back(chunk * chunk_blocks + b);
  for (int b = tail_begin; b < end; ++b) history.blocks.push_back(b);
  ChunkDecision decision;
  decision.chunk = chunk;
  decision.action = action;
  history.decisions.push_back(decision);
  return history;
}

// Loss of each sample over its last `blocks` blocks: [samples]
torch::Tensor DecisionLoss(VlaNet& net, const Batch& batch, int blocks) {
  const BlockLosses losses = ComputeLosses(TrainingForward(net, batch, Told::kNothing), batch);
  const torch::Tensor loss = ActionLoss(losses) + losses.waypoint + losses.target + losses.goal;
  return loss.narrow(1, loss.size(1) - blocks, blocks).mean(1);
}

// Not a method of its own: keeps the chunks it is told to and records what it is shown.
class FeatureRecorder : public CachePolicy {
 public:
  FeatureRecorder(std::set<int> keep, std::vector<torch::Tensor>* features)
      : keep_(std::move(keep)), features_(features) {}
  Needs needs() const override { return {.keys_values = true}; }
  float Score(const ChunkView& chunk) override {
    features_->push_back(GateFeatures(chunk.keys, chunk.values).clone());
    return keep_.contains(chunk.chunk) ? 1.0F : 0.0F;
  }
  std::unique_ptr<CachePolicy> Clone() const override {
    return std::make_unique<FeatureRecorder>(*this);
  }

 private:
  std::set<int> keep_;
  std::vector<torch::Tensor>* features_;
};

Status RunThroughCache(VlaNet& net, const torch::Tensor& instruction, const torch::Tensor& encoded,
                       KvCache& cache) {
  cache.Reset({});
  if (Status s = FeedInstruction(net, instruction, cache); !s.ok()) return s;
  for (int64_t block = 0; block < encoded.size(0); ++block) {
    const Result<torch::Tensor> hidden = FeedBlock(net, encoded[block], cache);
    if (!hidden.ok()) return hidden.status();
    if (Status status = cache.EndBlock(); !status.ok()) return status;
  }
  return {};
}

}  // namespace

std::vector<double> CounterfactualDrops(VlaNet& net, const torch::Tensor& instruction,
                                        const torch::Tensor& encoded, const DemoEpisode& episode,
                                        const GateTrainConfig& config) {
  const torch::NoGradGuard no_grad;
  const PolicyConfig& sizes = net->config();
  const int decision = FirstDecisionBlock(episode, sizes.replan_steps);
  const int end = decision + config.decision_blocks;
  if (decision < 0 || end > episode.blocks) return {};
  const int tail_chunk = std::max(0, end - config.tail_blocks) / sizes.chunk_blocks;
  const int tail_begin = tail_chunk * sizes.chunk_blocks;
  if (tail_chunk == 0) return {};
  std::vector<std::pair<int, ChunkAction>> cases = {{0, ChunkAction::kDropped}};
  for (int chunk = 0; chunk < tail_chunk; ++chunk) cases.emplace_back(chunk, ChunkAction::kWhole);
  std::vector<double> losses;
  for (size_t first = 0; first < cases.size(); first += kCounterfactualsAtOnce) {
    const size_t count = std::min<size_t>(kCounterfactualsAtOnce, cases.size() - first);
    std::vector<SubHistory> histories;
    for (size_t i = first; i < first + count; ++i) {
      histories.push_back(
          WithOneChunk(cases[i].first, cases[i].second, sizes.chunk_blocks, tail_begin, end));
    }
    Batch batch = MakeBatch(std::vector<const DemoEpisode*>(count, &episode), std::move(histories),
                            sizes, instruction);
    batch.encoded = GatherEncoded(batch, std::vector<torch::Tensor>(count, encoded));
    const torch::Tensor loss =
        DecisionLoss(net, batch, config.decision_blocks).to(torch::kFloat64).contiguous();
    losses.insert(losses.end(), loss.data_ptr<double>(), loss.data_ptr<double>() + count);
  }
  const int chunks = episode.blocks / sizes.chunk_blocks;
  std::vector<double> drops(chunks, 0.0);
  for (int chunk = 0; chunk < tail_chunk; ++chunk) drops[chunk] = losses[0] - losses[chunk + 1];
  return drops;
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
  Result<std::unique_ptr<KvCache>> cache =
      KvCache::Create(GeometryOf(sizes, sizes.instruction_capacity(), episode.blocks), cache_config,
                      std::make_unique<FeatureRecorder>(useful, &features), torch::kCPU);
  if (!cache.ok()) return cache.status();
  if (Status status = RunThroughCache(net, instruction, encoded, **cache); !status.ok())
    return status;
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
  const int decision = FirstDecisionBlock(episode, sizes.replan_steps);
  if (decision >= 0) labelled.target = episode.target_class[decision * sizes.replan_steps];
  return labelled;
}

}  // namespace kvla

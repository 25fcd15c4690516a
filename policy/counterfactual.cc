#include "policy/counterfactual.h"

#include <algorithm>
#include <numeric>
#include <set>
#include <utility>

#include "kv_efficient/chunk_gate.h"
#include "kv_efficient/kv_cache.h"
#include "policy/batch.h"
#include "policy/cached_forward.h"
#include "policy/encode_episode.h"
#include "policy/losses.h"
#include "policy/needed_chunks.h"
#include "policy/training_forward.h"

namespace kvla {
namespace {

constexpr int kCounterfactualsAtOnce = 12;

// Where something remembered is to be used: the decision opens, or goes on to its next target.
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

// A recent run of blocks, [begin, end), the last of which are the decision's first ones.
struct Tail {
  int begin, end;
};
Tail TailAt(int decision_block, int chunk_blocks, const GateTrainConfig& config) {
  const int end = decision_block + config.decision_blocks;
  return {std::max(0, end - config.tail_blocks) / chunk_blocks * chunk_blocks, end};
}

// The tail behind some old chunks.
SubHistory Behind(const std::set<int>& chunks, const Tail& tail, int chunk_blocks) {
  SubHistory history;
  history.holds_cue = true;  // the labels are wanted whether or not the cue is in sight
  for (const int chunk : chunks) {
    for (int b = 0; b < chunk_blocks; ++b) history.blocks.push_back(chunk * chunk_blocks + b);
    ChunkDecision decision;
    decision.chunk = chunk;
    decision.action = ChunkAction::kWhole;
    history.decisions.push_back(decision);
  }
  for (int b = tail.begin; b < tail.end; ++b) history.blocks.push_back(b);
  return history;
}

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

  // REQUIRES: histories of one length.
  std::vector<double> Of(std::vector<SubHistory> histories) const {
    const size_t count = histories.size();
    Batch batch = MakeBatch(std::vector<const DemoEpisode*>(count, &episode_), std::move(histories),
                            net_->config(), instruction_);
    batch.encoded = GatherEncoded(batch, std::vector<torch::Tensor>(count, encoded_));
    const BlockLosses losses = ComputeLosses(TrainingForward(net_, batch, Told::kNothing), batch);
    const torch::Tensor loss = ActionLoss(losses) + losses.waypoint + losses.target + losses.goal;
    const torch::Tensor mean = loss.narrow(1, loss.size(1) - decision_blocks_, decision_blocks_)
                                   .mean(1)
                                   .to(torch::kFloat64)
                                   .contiguous();
    return {mean.data_ptr<double>(), mean.data_ptr<double>() + count};
  }

 private:
  VlaNet& net_;
  const torch::Tensor& instruction_;
  const torch::Tensor& encoded_;
  const DemoEpisode& episode_;
  int decision_blocks_;
};

// What each chunk takes off the loss when it is given back, alone, in front of a bare tail.
void GiveBackOne(const DecisionLosses& losses, const Tail& tail, int chunk_blocks,
                 std::vector<double>* drops) {
  const int old = tail.begin / chunk_blocks;
  const double bare = losses.Of({Behind({}, tail, chunk_blocks)}).front();
  for (int first = 0; first < old; first += kCounterfactualsAtOnce) {
    std::vector<SubHistory> histories;
    for (int chunk = first; chunk < std::min(old, first + kCounterfactualsAtOnce); ++chunk) {
      histories.push_back(Behind({chunk}, tail, chunk_blocks));
    }
    const std::vector<double> with = losses.Of(std::move(histories));
    for (size_t i = 0; i < with.size(); ++i) {
      double& drop = (*drops)[static_cast<size_t>(first) + i];
      drop = std::max(drop, bare - with[i]);
    }
  }
}

// What the loss gains when a chunk goes that a sufficient few of them cannot do without.
void TakeAway(const DecisionLosses& losses, const Tail& tail, int chunk_blocks, double tolerance,
              std::vector<double>* drops) {
  std::vector<int> old(static_cast<size_t>(tail.begin / chunk_blocks));
  std::iota(old.begin(), old.end(), 0);
  const auto loss = [&](const std::set<int>& chunks) {
    return losses.Of({Behind(chunks, tail, chunk_blocks)}).front();
  };
  for (const auto& [chunk, rise] : NeededChunks(old, loss, tolerance)) {
    double& drop = (*drops)[static_cast<size_t>(chunk)];
    drop = std::max(drop, rise);
  }
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
  MethodCost cost() const override { return {}; }  // what it records is for training

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
  const DecisionLosses losses(net, instruction, encoded, episode, config.decision_blocks);
  std::vector<double> drops(static_cast<size_t>(episode.blocks / sizes.chunk_blocks), 0.0);
  bool any = false;
  for (const int decision : DecisionBlocks(episode, sizes.replan_steps)) {
    const Tail tail = TailAt(decision, sizes.chunk_blocks, config);
    if (tail.end > episode.blocks || tail.begin == 0) continue;
    any = true;
    if (config.find == "each") {
      GiveBackOne(losses, tail, sizes.chunk_blocks, &drops);
    } else {
      TakeAway(losses, tail, sizes.chunk_blocks, config.useful_drop, &drops);
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
  const std::vector<int> decisions = DecisionBlocks(episode, sizes.replan_steps);
  if (!decisions.empty()) {
    labelled.target = episode.target_class[decisions.front() * sizes.replan_steps];
  }
  return labelled;
}

}  // namespace kvla

// SPDX-License-Identifier: Apache-2.0
#include "policy/compact/gate/recorded_cache.h"

#include <memory>
#include <utility>

#include "kv_efficient/kv_cache.h"
#include "kv_efficient/methods/learned/chunk_gate.h"
#include "policy/compact/net/cached_forward.h"
#include "policy/compact/training/losses.h"

namespace kvla {
namespace {

constexpr int kNone = -1;

// Not a method of its own: keeps the chunks it is told to and records what it is shown.
class ToldPolicy : public CachePolicy {
 public:
  // `features` null: nothing is recorded.
  ToldPolicy(std::set<int> kept, ChunkAction keep, std::vector<torch::Tensor>* features)
      : CachePolicy({.keep = keep}), kept_(std::move(kept)), features_(features) {}
  Needs needs() const override { return {.keys_values = features_ != nullptr}; }
  float Score(const ChunkView& chunk) override {
    if (features_ != nullptr) {
      features_->push_back(GateFeatures(chunk.keys, chunk.values).clone());
    }
    return kept_.contains(chunk.chunk) ? 1.0F : 0.0F;
  }
  Plan PlanLeaving(const ChunkView& chunk, const FarState& state) override {
    Plan plan = CachePolicy::PlanLeaving(chunk, state);
    if (forget_ == kNone) return plan;
    const ChunkDecision gone{forget_, ChunkAction::kDropped, 0, ReasonCode::kOverBudget};
    if (forget_ == chunk.chunk) {
      plan.decisions.front() = gone;
    } else {
      plan.decisions.push_back(gone);
    }
    forget_ = kNone;
    return plan;
  }
  // With the next chunk that leaves that one goes too, which may be itself.
  void ForgetNext(int chunk) { forget_ = chunk; }
  std::unique_ptr<CachePolicy> Clone() const override {
    return std::make_unique<ToldPolicy>(*this);
  }
  MethodCost cost() const override { return {}; }  // what it records is for training

 protected:
  bool keeps(float score) const override { return score > 0; }

 private:
  std::set<int> kept_;
  std::vector<torch::Tensor>* features_;
  int forget_ = kNone;
};

Result<std::unique_ptr<KvCache>> NewCache(VlaNet& net, const torch::Tensor& instruction,
                                          int64_t blocks, std::unique_ptr<CachePolicy> policy,
                                          const GateTrainConfig& config) {
  const PolicyConfig& sizes = net->config();
  CacheConfig cache_config;
  cache_config.window_blocks = sizes.window_blocks;
  cache_config.chunk_blocks = sizes.chunk_blocks;
  cache_config.storage = config.storage;
  Result<std::unique_ptr<KvCache>> cache =
      KvCache::Create(GeometryOf(sizes, sizes.instruction_capacity(), static_cast<int>(blocks)),
                      cache_config, std::move(policy), torch::kCPU);
  if (!cache.ok()) return cache;
  (*cache)->Reset({});
  if (Status s = FeedInstruction(net, instruction, **cache); !s.ok()) return s;
  return cache;
}

// Blocks [begin, end); what the heads read of them, where it is asked for.
Status Feed(VlaNet& net, const torch::Tensor& encoded, int64_t begin, int64_t end, KvCache& cache,
            std::vector<torch::Tensor>* hidden = nullptr) {
  for (int64_t block = begin; block < end; ++block) {
    if (Status s = cache.BeginBlock(); !s.ok()) return s;
    const torch::Tensor out = FeedBlock(net, encoded[block], cache);
    if (hidden != nullptr) hidden->push_back(out.clone());
    if (Status s = cache.EndBlock(); !s.ok()) return s;
  }
  return {};
}

}  // namespace

Result<std::vector<torch::Tensor>> RecordFeatures(VlaNet& net, const torch::Tensor& instruction,
                                                  const torch::Tensor& encoded,
                                                  const std::set<int>& kept,
                                                  const GateTrainConfig& config) {
  const c10::InferenceMode inference_mode;
  std::vector<torch::Tensor> features;
  Result<std::unique_ptr<KvCache>> cache =
      NewCache(net, instruction, encoded.size(0),
               std::make_unique<ToldPolicy>(kept, KeepAction(config.keep), &features), config);
  if (!cache.ok()) return cache.status();
  if (Status s = Feed(net, encoded, 0, encoded.size(0), **cache); !s.ok()) return s;
  return features;
}

Result<std::vector<double>> ActionChanges(VlaNet& net, const torch::Tensor& instruction,
                                          const torch::Tensor& encoded, const DemoEpisode& episode,
                                          const Scene& scene, const GateTrainConfig& config) {
  const c10::InferenceMode inference_mode;
  const PolicyConfig& sizes = net->config();
  const BlockSchedule schedule(sizes.window_blocks, sizes.chunk_blocks);
  const int left = schedule.LeftChunks(scene.begin);
  if (left == 0) return std::vector<double>();
  std::set<int> all;
  for (int chunk = 0; chunk < episode.blocks / sizes.chunk_blocks; ++chunk) all.insert(chunk);
  Result<std::unique_ptr<KvCache>> held =
      NewCache(net, instruction, encoded.size(0),
               std::make_unique<ToldPolicy>(all, KeepAction(config.keep), nullptr), config);
  if (!held.ok()) return held.status();
  // The last moment before the scene at which a cache decides.
  const int leaves = schedule.LeavesAfter(left - 1);
  if (Status s = Feed(net, encoded, 0, leaves, **held); !s.ok()) return s;
  torch::Tensor proprio = torch::empty({scene.end - scene.begin, kProprioDim});
  for (int block = scene.begin; block < scene.end; ++block) {
    std::ranges::copy(episode.proprio[block],
                      proprio.data_ptr<float>() + int64_t{block - scene.begin} * kProprioDim);
  }
  const auto act_without = [&](int chunk) -> Result<HeadOutputs> {
    const std::unique_ptr<KvCache> cache = (*held)->Clone();
    static_cast<ToldPolicy&>(cache->policy()).ForgetNext(chunk);
    std::vector<torch::Tensor> hidden;
    if (Status s = Feed(net, encoded, leaves, scene.begin, *cache); !s.ok()) return s;
    if (Status s = Feed(net, encoded, scene.begin, scene.end, *cache, &hidden); !s.ok()) return s;
    return net->Heads(torch::stack(hidden), proprio);
  };
  const Result<HeadOutputs> with = act_without(kNone);
  if (!with.ok()) return with.status();
  std::vector<double> changes;
  for (int chunk = 0; chunk < left; ++chunk) {
    const Result<HeadOutputs> without = act_without(chunk);
    if (!without.ok()) return without.status();
    changes.push_back(ActionDistance(*with, *without).item<double>());
  }
  return changes;
}

}  // namespace kvla

// SPDX-License-Identifier: Apache-2.0
#include "harness/bench/history_cache.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/randn.h>

#include <algorithm>

#include "harness/bench/kept_share.h"
#include "harness/bench/rounds.h"
#include "kv_efficient/cost_model.h"
#include "kv_efficient/kv_format.h"

namespace kvla {
namespace {

constexpr int kBlocks = 4;  // different ones

}  // namespace

int64_t HistoryArm::Attended(const CacheGeometry& geometry, const BlockSchedule& schedule,
                             int inference) const {
  const int block = inference - 1, left = schedule.LeftChunks(block);
  const int64_t kept = rho ? KeptChunks(left, *rho) : left;
  const int64_t blocks = kept * schedule.chunk_blocks + inference - schedule.NearBegin(block);
  return geometry.instruction_tokens + blocks * geometry.tokens_per_block;
}

int64_t HistoryArm::Bytes(const CacheGeometry& geometry, int64_t tokens) const {
  return KvBytes(geometry, tokens) * BitsOf(*KvFormatNamed(storage)) / BitsOf(KvFormat::kF32);
}

Result<std::unique_ptr<HistoryCache>> HistoryCache::Create(const CacheGeometry& geometry,
                                                           const HistoryArm& arm,
                                                           const HistorySettings& settings) {
  CacheConfig config;
  config.window_blocks = settings.window_blocks;
  config.chunk_blocks = settings.chunk_blocks;
  config.storage = arm.storage;
  std::unique_ptr<HistoryCache> history(new HistoryCache());
  Result<std::unique_ptr<KvCache>> made = InternalError("no cache");
  if (arm.rho) {
    auto kept = std::make_unique<KeptShare>(
        GateShape{.features = geometry.gate_features(),
                  .chunk_tokens = settings.chunk_blocks * geometry.tokens_per_block,
                  .hidden = settings.gate_hidden},
        *arm.rho);
    history->kept_ = kept.get();
    made = KvCache::Create(geometry, config, std::move(kept), at::kCPU, ThreadMs);
  } else {
    made = KvCache::Create(geometry, config, at::kCPU, ThreadMs);
  }
  if (!made.ok()) return made.status().In(arm.name);
  history->cache_ = *std::move(made);
  for (int i = 0; i < kBlocks; ++i) {
    history->blocks_.push_back(
        at::randn({geometry.kv_heads, geometry.tokens_per_block, geometry.head_dim}));
  }
  if (geometry.instruction_tokens > 0) {
    history->prompt_ =
        at::randn({geometry.kv_heads, geometry.instruction_tokens, geometry.head_dim});
  }
  if (Status s = history->Restart(); !s.ok()) return s;
  return history;
}

Status HistoryCache::Restart() {
  inference_ = 0;
  cache_->Reset({});
  return prompt_.defined() ? cache_->AppendInstruction(0, prompt_, prompt_) : Status();
}

Status HistoryCache::Open() {
  if (Status s = cache_->BeginBlock(); !s.ok()) return s;
  const CacheGeometry& geometry = cache_->geometry();
  const at::Tensor nobody = at::empty({geometry.heads, 0, geometry.head_dim});
  cache_->Attend(0, nobody, blocks_[inference_ % kBlocks], blocks_[(inference_ + 1) % kBlocks]);
  ++inference_;
  return {};
}

Status HistoryCache::GoTo(int inference) {
  if (kept_ != nullptr) kept_->AskGate(false);
  while (inference_ < inference) {
    if (inference_ > 0) {
      if (Status s = cache_->EndBlock(); !s.ok()) return s;
    }
    if (Status s = Open(); !s.ok()) return s;
  }
  return {};
}

Status HistoryCache::Advance(double* append_ms, double* gate_ms, double* compact_ms) {
  if (kept_ != nullptr) kept_->AskGate(true);
  if (Status s = cache_->EndBlock(); !s.ok()) return s;
  const LatencyParts& latency = cache_->stats().cost.latency;
  *gate_ms += latency.gate_ms;
  *compact_ms += latency.compact_ms;
  const double begin = ThreadMs();
  if (Status s = Open(); !s.ok()) return s;
  *append_ms += ThreadMs() - begin;
  return {};
}

int64_t HistoryCache::attended() const {
  const CacheGeometry& geometry = cache_->geometry();
  const ChunkStore& store = cache_->store();
  return static_cast<int64_t>(store.far(0, 0).size()) +
         int64_t{inference_ - store.near_begin_block()} * geometry.tokens_per_block;
}

double HistoryCache::gate_flops() const { return kept_ == nullptr ? 0 : kept_->cost().plan_flops; }

}  // namespace kvla

// SPDX-License-Identifier: Apache-2.0
#include "kv_efficient/kv_cache.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <set>
#include <utility>

#include "kv_efficient/attention/ragged_attention.h"
#include "kv_efficient/cost_model.h"
#include "kv_efficient/methods/method_table.h"
#include "kv_efficient/saved_state.h"
#include "tensors/torch.h"

namespace kvla {
namespace {

// Whether a log is one that EndBlock() writes in so many blocks: when a chunk leaves, a decision of
// it and of no later one, each decided once.
bool IsLog(std::span<const DecisionEvent> log, const BlockSchedule& schedule, int blocks) {
  const int left = schedule.LeftChunks(blocks);
  size_t i = 0;
  for (int leaving = 0; leaving < left; ++leaving) {
    std::vector<char> decided(leaving + 1, 0);
    for (; i < log.size() && log[i].block == schedule.LeavesAfter(leaving); ++i) {
      const ChunkDecision& d = log[i].decision;
      if (d.chunk < 0 || d.chunk > leaving || decided[d.chunk]++ != 0) return false;
      if (d.action < ChunkAction::kWhole || d.action > ChunkAction::kDropped) return false;
      if (static_cast<int>(d.reason) >= ReasonCodes() || !std::isfinite(d.score)) return false;
    }
    if (decided[leaving] == 0) return false;
  }
  return i == log.size();
}

}  // namespace

Result<std::unique_ptr<KvCache>> KvCache::Create(const CacheGeometry& geometry,
                                                 const CacheConfig& config,
                                                 std::unique_ptr<CachePolicy> policy,
                                                 at::Device device, MsClock clock) {
  if (Status s = ValidateCacheConfig(config); !s.ok()) return s;
  if (Status s = ValidateCacheGeometry(geometry); !s.ok()) return s;
  std::unique_ptr<KvCache> cache(
      new KvCache(geometry, config, std::move(policy), device, std::move(clock)));
  try {
    Result<std::unique_ptr<ChunkStore>> store = ChunkStore::Create(
        geometry, config.chunk_blocks, cache->rotary_, device, *KvFormatNamed(config.storage));
    if (!store.ok()) return store.status();
    cache->store_ = std::move(store).value();
    cache->MakeBuffers(geometry.tokens_per_block);
  } catch (const c10::Error& e) {
    return InternalError(
        fmt::format("cannot make the cache on {}: {}", device.str(), e.what_without_backtrace()));
  }
  if (const std::optional<int> blocks = cache->policy_->needs().attention_blocks) {
    cache->mass_.emplace(geometry.lanes(), *blocks);
  }
  cache->Reset({});
  return cache;
}

Result<std::unique_ptr<KvCache>> KvCache::Create(const CacheGeometry& geometry,
                                                 const CacheConfig& config, at::Device device,
                                                 MsClock clock) {
  Result<std::unique_ptr<CachePolicy>> policy = MakeCachePolicy(config, geometry);
  if (!policy.ok()) return policy.status();
  return Create(geometry, config, *std::move(policy), device, std::move(clock));
}

KvCache::KvCache(const CacheGeometry& geometry, const CacheConfig& config,
                 std::unique_ptr<CachePolicy> policy, at::Device device, MsClock clock)
    : geometry_(geometry),
      config_(config),
      schedule_(config.schedule()),
      device_(device),
      clock_(std::move(clock)),
      policy_(std::move(policy)),
      rotary_(std::make_shared<RotaryTable>(
          geometry.head_dim, geometry.rope_theta,
          std::max(geometry.max_blocks, geometry.age_clamp_blocks + 1),
          geometry.positions_per_block)) {}

KvCache::~KvCache() = default;

void KvCache::MakeBuffers(int tokens) {
  buffer_tokens_ = tokens;
  const int rows = PaddedRows(geometry_.group() * tokens);
  const int64_t queries = int64_t{geometry_.head_dim} * rows;
  // Padding stays zero.
  near_queries_.assign(geometry_.kv_heads * queries, 0);
  far_queries_.assign(geometry_.kv_heads * queries, 0);
  attended_.resize(queries);
  log_sum_exp_.resize(rows);
}

void KvCache::Reset(const EpisodeFacts& facts) {
  store_->Reset();
  policy_->Reset(facts);
  in_block_ = false;
  stats_ = {};
  chunks_.clear();
  log_.clear();
  taken_ = 0;
  if (mass_) mass_->Reset();
  received_.clear();
}

Status KvCache::AppendInstruction(int layer, const at::Tensor& k, const at::Tensor& v) {
  c10::InferenceMode inference;
  try {
    return store_->AppendInstruction(layer, k, v);
  } catch (const c10::Error& e) {
    return InternalError(fmt::format("instruction tokens: {}", e.what_without_backtrace()));
  }
}

Status KvCache::AppendInstruction(int layer, int tokens, const HeadRows& k, const HeadRows& v) {
  return store_->AppendInstruction(layer, tokens, k, v);
}

Status KvCache::BeginBlock() {
  if (in_block_) return InternalError("BeginBlock came before EndBlock");
  if (blocks() >= geometry_.max_blocks) {
    return BadInput(
        fmt::format("the episode is longer than the cache's {} frame blocks (max_blocks)",
                    geometry_.max_blocks));
  }
  in_block_ = true;
  if (blocks() % config_.chunk_blocks == 0) {
    ChunkRecord record;
    record.decision = {static_cast<int>(chunks_.size()), ChunkAction::kWindow, 0,
                       ReasonCode::kNone};
    chunks_.push_back(record);
  }
  if (mass_) mass_->BeginBlock();
  read_tokens_ = 0;
  stats_.cost.latency = {};
  stats_.gate_flops = 0;
  stats_.cost.kv_transient_bytes = 0;
  stats_.report_ms = 0;
  if (report_) received_.assign(geometry_.layers * (1 + chunks_.size()), 0);
  return {};
}

Status KvCache::EndBlock() {
  c10::InferenceMode inference;
  if (!in_block_) return InternalError("EndBlock came before BeginBlock");
  in_block_ = false;
  try {
    store_->EndBlock();
    stats_.cost.kv_attending_bytes = store_->live_bytes();
    stats_.cost.kv_committed_bytes = store_->committed_bytes();
    const int64_t queries = int64_t{geometry_.lanes()} * geometry_.tokens_per_block;
    stats_.cost.attended_tokens = static_cast<int>((read_tokens_ + queries - 1) / queries);
    stats_.gate_flops += policy_->cost().block_flops;
    if (mass_) {  // q.k once more
      stats_.gate_flops +=
          DecoderFlops(geometry_, {}, geometry_.tokens_per_block, stats_.cost.attended_tokens)
              .attention /
          2;
    }
    if (blocks() - store_->near_begin_block() >= schedule_.window_blocks + schedule_.chunk_blocks) {
      if (Status s = LetChunkLeave(); !s.ok()) return s;
    }
    if (store_->format() != KvFormat::kF32) {
      const Stopwatch timer(clock_, &stats_.cost.latency.compact_ms);
      store_->SettleWindow();
    }
  } catch (const c10::Error& e) {
    return InternalError(fmt::format("{}: {}", config_.policy, e.what_without_backtrace()));
  }
  UpdateStats();
  return {};
}

// The policy sees what it asked for and plans; the store applies the plan; masses follow the
// tokens.
Status KvCache::LetChunkLeave() {
  ChunkView view;
  view.chunk = schedule_.ChunkOf(store_->near_begin_block());
  view.first_block = store_->near_begin_block();
  view.blocks = schedule_.chunk_blocks;
  const Needs needs = policy_->needs();
  if (needs.keys_values || needs.far_keys_values) {
    const Stopwatch timer(clock_, &stats_.cost.latency.compact_ms);
    store_->UnrotateLeaving();
    view.keys = store_->LeavingKeys();
    view.values = store_->LeavingValues();
  }
  const int tokens = view.blocks * geometry_.tokens_per_block;
  std::vector<LaneState> lanes;
  Plan plan;
  {
    const Stopwatch timer(clock_, &stats_.cost.latency.gate_ms);
    lanes = LaneStates(tokens);
    if (needs.far_keys_values) AddFarRows(view, &lanes);
    plan = policy_->PlanLeaving(view,
                                {.chunks = std::span(chunks_).first(view.chunk), .lanes = lanes});
  }
  {
    const Stopwatch timer(clock_, &stats_.cost.latency.compact_ms);
    std::vector<std::vector<FarToken>> before;
    for (int lane = 0; mass_ && lane < geometry_.lanes(); ++lane) before.push_back(FarOf(lane));
    if (Status s = store_->Apply(plan); !s.ok()) return s.In(config_.policy);
    for (int lane = 0; lane < std::ssize(before); ++lane) {
      mass_->Leave(lane, before[lane], FarOf(lane), view.chunk, tokens, geometry_.tokens_per_block);
    }
  }
  for (const ChunkDecision& decision : plan.decisions) {
    chunks_[decision.chunk].decision = decision;
    chunks_[decision.chunk].decided_block = blocks() - 1;
    log_.push_back({blocks() - 1, decision});
  }
  const MethodCost cost = policy_->cost();
  stats_.gate_flops += cost.plan_flops;
  stats_.cost.kv_transient_bytes = std::max(cost.transient_bytes, store_->transient_bytes());
  return {};
}

Status KvCache::ReopenWindow() {
  if (in_block_) return InternalError("ReopenWindow came before EndBlock");
  store_->ReopenWindow();
  const size_t left = static_cast<size_t>(schedule_.ChunkOf(blocks()));
  chunks_.resize(left);
  for (int lane = 0; mass_ && lane < geometry_.lanes(); ++lane) {
    mass_->Truncate(lane, static_cast<int>(FarOf(lane).size()));
  }
  UpdateStats();
  return {};
}

std::vector<LaneState> KvCache::LaneStates(int chunk_tokens) const {
  std::vector<LaneState> lanes;
  for (int lane = 0; lane < geometry_.lanes(); ++lane) {
    LaneState state;
    state.far = FarOf(lane);
    if (mass_) state.mass = mass_->Of(lane, static_cast<int>(state.far.size()) + chunk_tokens);
    lanes.push_back(std::move(state));
  }
  return lanes;
}

void KvCache::UpdateStats() {
  const int64_t lanes = geometry_.lanes(), held = store_->held_tokens();
  const int64_t near = int64_t{blocks() - store_->near_begin_block()} * geometry_.tokens_per_block;
  stats_.cost.kv_live_bytes = store_->live_bytes();
  stats_.cost.kv_committed_bytes =
      std::max(stats_.cost.kv_committed_bytes.value_or(0), store_->committed_bytes());
  stats_.cost.method_bytes = policy_->cost().held_bytes + (mass_ ? mass_->bytes() : 0);
  stats_.cost.cached_tokens = static_cast<int>((held + lanes - 1) / lanes);
  stats_.far_tokens = stats_.cost.cached_tokens - near;
}

std::vector<ChunkDecision> KvCache::TakeChangedDecisions() {
  std::vector<ChunkDecision> changed;
  for (; taken_ < log_.size(); ++taken_) changed.push_back(log_[taken_].decision);
  return changed;
}

std::vector<int> KvCache::HeldChunks() const {
  std::set<int> held;
  for (int lane = 0; lane < geometry_.lanes(); ++lane) {
    for (const FarToken& token : FarOf(lane)) {
      if (token.chunk >= 0) held.insert(token.chunk);
    }
  }
  return {held.begin(), held.end()};
}

Status KvCache::TakeOver(const KvCache& from, std::span<const int> chunks) {
  if (in_block_ || from.in_block_) return InternalError("TakeOver came before EndBlock");
  const Needs needs = policy_->needs();
  if (config_.policy != from.config_.policy || mass_ || needs.queries || needs.selects ||
      needs.window_again) {
    return BadInput(fmt::format(
        "chunks cannot be taken over from '{}' into '{}': both must be one method, whose choice "
        "does not go by the attention or the queries that a token has met",
        from.config_.policy, config_.policy));
  }
  if (Status s = store_->TakeOver(*from.store_, chunks); !s.ok()) return s;
  const auto taken = [&](const DecisionEvent& e) {
    return std::ranges::count(chunks, e.decision.chunk) > 0;
  };
  std::erase_if(log_, taken);
  std::ranges::copy_if(from.log_, std::back_inserter(log_), taken);
  std::ranges::stable_sort(log_, {}, &DecisionEvent::block);
  taken_ = log_.size();
  for (const int chunk : chunks) chunks_[chunk] = from.chunks_[chunk];
  UpdateStats();
  return {};
}

std::unique_ptr<KvCache> KvCache::Clone() const {
  std::unique_ptr<KvCache> copy(new KvCache(geometry_, config_, policy_->Clone(), device_, clock_));
  copy->rotary_ = rotary_;
  copy->store_ = store_->Clone();
  copy->MakeBuffers(geometry_.tokens_per_block);
  copy->stats_ = stats_;
  copy->chunks_ = chunks_;
  copy->log_ = log_;
  copy->taken_ = taken_;
  copy->mass_ = mass_;
  return copy;
}

std::vector<uint8_t> KvCache::Save() const {
  ByteWriter out;
  out.List(store_->Save());
  out.List(policy_->SaveState());
  out.Value<uint64_t>(log_.size());
  for (const DecisionEvent& e : log_) {
    out.Value(e.block);
    out.Value(e.decision.chunk);
    out.Value(e.decision.action);
    out.Value(e.decision.score);
    out.Value(e.decision.reason);
  }
  out.Value<uint64_t>(taken_);
  if (mass_) {
    out.Value(mass_->current());
    for (const std::vector<float>& list : mass_->lists()) out.List(list);
  }
  return out.Take();
}

void KvCache::AddFarRows(const ChunkView& chunk, std::vector<LaneState>* lanes) const {
  for (int layer = 0; layer < geometry_.layers; ++layer) {
    for (int head = 0; head < geometry_.kv_heads; ++head) {
      const auto [keys, values] = store_->FarRows(layer, head);
      LaneState& lane = (*lanes)[layer * geometry_.kv_heads + head];
      lane.keys = torch::cat({keys, chunk.keys[layer][head]});
      lane.values = torch::cat({values, chunk.values[layer][head]});
    }
  }
}

std::vector<int> KvCache::HeldTokens() const {
  const int near = (blocks() - store_->near_begin_block()) * geometry_.tokens_per_block;
  std::vector<int> tokens;
  for (int lane = 0; lane < geometry_.lanes(); ++lane) {
    tokens.push_back(static_cast<int>(FarOf(lane).size()) + near);
  }
  return tokens;
}

bool KvCache::HoldsWhatWasDecided() const {
  // Plans by lane may keep a part of what a decision says.
  if (!store_->uniform() || geometry_.lanes() == 1) return true;
  std::vector<int> held(chunks_.size(), 0), summaries(chunks_.size(), 0);
  for (const FarToken& token : store_->far(0, 0)) {
    if (token.chunk >= 0) ++(token.original() ? held : summaries)[token.chunk];
  }
  const int slots = geometry_.tokens_per_block;
  for (size_t chunk = 0; chunk < chunks_.size(); ++chunk) {
    const ChunkAction action = chunks_[chunk].decision.action;
    if (held[chunk] != (action == ChunkAction::kWhole ? schedule_.chunk_blocks * slots : 0) ||
        summaries[chunk] != (action == ChunkAction::kCompressed ? slots : 0)) {
      return false;
    }
  }
  return true;
}

Status KvCache::Restore(std::span<const uint8_t> bytes) {
  Reset({});
  ByteReader in(bytes);
  std::vector<uint8_t> store, policy;
  uint64_t events = 0, taken = 0;
  const Status bad = BadInput("the saved cache is cut short or belongs to another method");
  if (!in.List(&store) || !in.List(&policy) || !in.Value(&events) || events > bytes.size()) {
    return bad;
  }
  std::vector<DecisionEvent> log(events);
  for (DecisionEvent& e : log) {
    in.Value(&e.block);
    in.Value(&e.decision.chunk);
    in.Value(&e.decision.action);
    in.Value(&e.decision.score);
    in.Value(&e.decision.reason);
  }
  int current = 0;
  std::vector<std::vector<float>> mass(mass_ ? mass_->lists().size() : 0);
  if (!in.Value(&taken) || (mass_ && !in.Value(&current))) return bad;
  for (std::vector<float>& list : mass) in.List(&list);
  if (!in.done() || taken > events) return bad;
  if (Status s = store_->Restore(store); !s.ok()) return s;
  const int chunks = (blocks() + config_.chunk_blocks - 1) / config_.chunk_blocks;
  const bool fits = store_->near_begin_block() == schedule_.NearBegin(blocks()) &&
                    IsLog(log, schedule_, blocks()) &&
                    (!mass_ || mass_->Restore(std::move(mass), current, HeldTokens()));
  const Status state = policy_->RestoreState(policy);
  if (!fits || !state.ok()) {
    Reset({});
    return state.ok() ? bad : state;
  }
  for (int chunk = 0; chunk < chunks; ++chunk) {
    chunks_.push_back({{chunk, ChunkAction::kWindow, 0, ReasonCode::kNone}, -1});
  }
  for (const DecisionEvent& e : log) chunks_[e.decision.chunk] = {e.decision, e.block};
  if (!HoldsWhatWasDecided()) {
    Reset({});
    return bad;
  }
  log_ = std::move(log);
  taken_ = taken;
  UpdateStats();
  return {};
}

}  // namespace kvla

// SPDX-License-Identifier: Apache-2.0
#include "harness/bench/compact_bench.h"

#include <fmt/format.h>

#include <algorithm>
#include <list>
#include <memory>
#include <string>
#include <utility>

#include "base/rng.h"
#include "kv_efficient/kv_cache.h"
#include "policy/compact/checkpoint.h"
#include "tensors/torch.h"

namespace kvla {
namespace {

// What is done with every chunk but, where `drop_first`, the first one.
struct Action {
  const char* name;
  ChunkAction action;
  bool drop_first = false;
  bool leaves = true;  // in the block that is measured
};

constexpr Action kActions[] = {{"none leaves", ChunkAction::kWhole, false, false},
                               {"whole, in place", ChunkAction::kWhole},
                               {"whole, moved", ChunkAction::kWhole, true},
                               {"compressed", ChunkAction::kCompressed},
                               {"dropped", ChunkAction::kDropped}};

class FixedPlan : public CachePolicy {
 public:
  explicit FixedPlan(const Action& action) : action_(action) {}
  float Score(const ChunkView&) override { return 0; }
  Plan PlanLeaving(const ChunkView& chunk, const FarState&) override {
    const bool drop = action_.drop_first && chunk.chunk == 0;
    Plan plan;
    plan.decisions = {
        {chunk.chunk, drop ? ChunkAction::kDropped : action_.action, 0, ReasonCode::kAll}};
    return plan;
  }
  std::unique_ptr<CachePolicy> Clone() const override { return std::make_unique<FixedPlan>(*this); }
  MethodCost cost() const override { return {}; }

 private:
  Action action_;
};

// Queries, keys and values of one block, the same in every layer.
struct Block {
  explicit Block(const CacheGeometry& geometry)
      : q(torch::randn({geometry.heads, geometry.tokens_per_block, geometry.head_dim})),
        k(torch::randn({geometry.kv_heads, geometry.tokens_per_block, geometry.head_dim})),
        v(torch::randn_like(k)) {}
  at::Tensor q, k, v;
};

// All but EndBlock().
Status Append(const Block& block, KvCache* cache) {
  if (Status status = cache->BeginBlock(); !status.ok()) return status;
  for (int layer = 0; layer < cache->geometry().layers; ++layer) {
    cache->Attend(layer, block.q, block.k, block.v);
  }
  return {};
}

// One line of the table: a cache whose next EndBlock() is measured.
struct Point {
  const Action* action = nullptr;
  int history = 0;
  std::unique_ptr<KvCache> begin;
  Samples end_block, compact;
  int64_t transient_bytes = 0;
};

Result<std::unique_ptr<KvCache>> Grown(const PolicyConfig& config, const Action& action,
                                       int history, const Block& block) {
  // From the third chunk that leaves on, so that one was dropped before where that is asked for.
  const BlockSchedule schedule(config.window_blocks, config.chunk_blocks);
  const int asked = history / config.tokens_per_block();
  const int chunk = std::max(2, schedule.LeftChunks(asked));
  const int last = schedule.LeavesAfter(chunk) - (action.leaves ? 0 : 1);
  const CacheGeometry geometry = GeometryOf(config, config.instruction_capacity(), last + 1);
  CacheConfig settings;
  settings.window_blocks = config.window_blocks;
  settings.chunk_blocks = config.chunk_blocks;
  Result<std::unique_ptr<KvCache>> made =
      KvCache::Create(geometry, settings, std::make_unique<FixedPlan>(action),
                      torch::Device(torch::kCPU), ThreadMs);
  if (!made.ok()) return made;
  while ((*made)->blocks() < last) {
    if (Status status = Append(block, made->get()); !status.ok()) return status;
    if (Status status = (*made)->EndBlock(); !status.ok()) return status;
  }
  (*made)->TakeChangedDecisions();  // the next ones are of the block that is measured
  return made;
}

Turn Measure(const Block& block, Point* point) {
  return [&block, point](bool kept) -> Status {
    const std::unique_ptr<KvCache> cache = point->begin->Clone();
    if (Status status = Append(block, cache.get()); !status.ok()) return status;
    const double begin = ThreadMs();
    if (Status status = cache->EndBlock(); !status.ok()) return status;
    const double end = ThreadMs();
    const bool left = !cache->TakeChangedDecisions().empty();
    if (left != point->action->leaves) {
      return InternalError(fmt::format("bench: '{}' with {} tokens: a chunk left: {}",
                                       point->action->name, point->history, left));
    }
    if (!kept) return {};
    point->end_block.Add(end - begin);
    point->compact.Add(cache->stats().cost.latency.compact_ms);
    point->transient_bytes = cache->stats().cost.kv_transient_bytes;
    return {};
  };
}

nlohmann::json Row(const Point& point) {
  nlohmann::json row = {{"action", point.action->name},
                        {"history_tokens", point.history},
                        {"history_blocks", point.begin->blocks()},
                        {"cached_tokens", point.begin->stats().cost.cached_tokens},
                        {"samples", point.end_block.count()},
                        {"transient_bytes", point.transient_bytes}};
  PutTimes("end_block", point.end_block, &row);
  if (point.action->leaves) PutTimes("compact", point.compact, &row);
  return row;
}

}  // namespace

Result<BenchReport> BenchCompact(const CompactBenchOptions& options) {
  if (options.history_tokens.empty()) return BadInput("nothing to measure: give a history");
  try {
    const c10::InferenceMode inference;
    const Result<Checkpoint> checkpoint = LoadCheckpoint(options.checkpoint);
    if (!checkpoint.ok()) return checkpoint.status();
    Status keeps = CheckKeepsCache(checkpoint->config, options.checkpoint.string());
    if (!keeps.ok()) return keeps;
    torch::manual_seed(1);
    const Block block(GeometryOf(checkpoint->config, 0, 1));
    MachineLimits limits;
    std::vector<Turn> turns = limits.turns();
    std::list<Point> points;  // stays where it is
    for (const int history : options.history_tokens) {
      for (const Action& action : kActions) {
        Result<std::unique_ptr<KvCache>> cache = Grown(checkpoint->config, action, history, block);
        if (!cache.ok()) return cache.status();
        Point& point = points.emplace_back();
        point.action = &action;
        point.history = history;
        point.begin = *std::move(cache);
        turns.push_back(Measure(block, &point));
      }
    }
    if (Status status = TakeTurns(turns, options.seconds); !status.ok()) return status;
    BenchReport report{limits.Json()};
    for (const Point& point : points) report.rows.push_back(Row(point));
    return report;
  } catch (const c10::Error& e) {
    return InternalError(fmt::format("bench: {}", e.what_without_backtrace()));
  }
}

}  // namespace kvla

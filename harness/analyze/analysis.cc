// SPDX-License-Identifier: Apache-2.0
#include "harness/analyze/analysis.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "harness/analyze/attention_dump.h"
#include "kv_efficient/cost_model.h"
#include "kv_efficient/kv_cache.h"
#include "kv_efficient/methods/method_table.h"
#include "tensors/torch.h"

namespace kvla {
namespace {

// What a dump has no answer to.
Status CheckMethod(const CacheConfig& config, const std::vector<std::pair<int, int>>& cues,
                   int blocks) {
  if (Status s = ValidateCacheConfig(config); !s.ok()) return s;
  const CacheMethod& method = *FindCacheMethod(config.policy);
  if (method.window_again) {
    return BadInput(
        fmt::format("'{}' computes its window anew from frames, which a dump does not "
                    "hold: only a policy can run it (kvla eval)",
                    config.policy));
  }
  if (method.cue_hint && cues.empty()) {
    return BadInput(
        fmt::format("'{}' must be told which blocks it has to remember: --cue-blocks "
                    "3:5 for blocks 3 and 4",
                    config.policy));
  }
  if (!method.cue_hint && !cues.empty()) {
    return BadInput(
        fmt::format("--cue-blocks: '{}' decides without being told; leave it out", config.policy));
  }
  for (const auto& [begin, end] : cues) {
    if (begin < 0 || begin >= end || end > blocks) {
      return BadInput(fmt::format(
          "--cue-blocks {}:{}: a range of blocks from its first to the one after its last, within "
          "0:{}",
          begin, end, blocks));
    }
  }
  return {};
}

double RelativeError(const at::Tensor& out, const at::Tensor& full) {
  const at::Tensor reference = full.to(at::kDouble);
  const double size = torch::linalg_vector_norm(reference).item<double>();
  const double off = torch::linalg_vector_norm(out.to(at::kDouble) - reference).item<double>();
  return off == 0 ? 0 : off / size;
}

// A cache, and what is written down of it.
class Feed {
 public:
  static Result<Feed> Create(const AttentionDump& dump, const CacheConfig& config, std::string name,
                             const EpisodeFacts& facts) {
    Result<std::unique_ptr<KvCache>> cache = KvCache::Create(dump.geometry, config, at::kCPU);
    if (!cache.ok()) return cache.status();
    Feed feed(dump, *std::move(cache), std::move(name));
    if (Status s = feed.Begin(facts); !s.ok()) return s;
    return feed;
  }

  Status BeginBlock() { return cache_->BeginBlock(); }

  // [heads, tokens_per_block, head_dim], of the block that was begun.
  at::Tensor Attend(int layer) {
    const CacheGeometry& g = dump_->geometry;
    const int64_t first = g.instruction_tokens + int64_t{cache_->blocks()} * g.tokens_per_block;
    const auto rows = [&](const at::Tensor& all) {
      return all[layer].narrow(1, first, g.tokens_per_block);
    };
    return cache_->Attend(layer, rows(dump_->queries), rows(dump_->keys), rows(dump_->values));
  }

  void SetError(int layer, double error) {
    result_.errors[static_cast<size_t>(layer) * dump_->geometry.max_blocks + cache_->blocks()] =
        error;
  }

  Status EndBlock() {
    if (Status s = cache_->EndBlock(); !s.ok()) return s;
    const CacheGeometry& g = dump_->geometry;
    const CacheStats& stats = cache_->stats();
    result_.live_bytes.push_back(stats.cost.kv_live_bytes);
    result_.committed_bytes = stats.cost.kv_committed_bytes.value_or(0);
    result_.method_bytes = stats.cost.method_bytes.value_or(0);
    result_.transient_bytes = std::max(result_.transient_bytes, stats.cost.kv_transient_bytes);
    result_.attention_flops +=
        DecoderFlops(g, {}, g.tokens_per_block, stats.cost.attended_tokens).attention;
    result_.method_flops += stats.gate_flops;
    return {};
  }

  const KvCache& cache() const { return *cache_; }
  AnalyzedCache Take() { return std::move(result_); }

 private:
  Feed(const AttentionDump& dump, std::unique_ptr<KvCache> cache, std::string name)
      : dump_(&dump), cache_(std::move(cache)) {
    result_.name = std::move(name);
    result_.errors.assign(static_cast<size_t>(dump.geometry.layers) * dump.geometry.max_blocks, 0);
  }

  Status Begin(const EpisodeFacts& facts) {
    cache_->Reset(facts);
    const CacheGeometry& g = dump_->geometry;
    for (int layer = 0; layer < g.layers && g.instruction_tokens > 0; ++layer) {
      const auto rows = [&](const at::Tensor& all) {
        return all[layer].narrow(1, 0, g.instruction_tokens);
      };
      const Status s = cache_->AppendInstruction(layer, rows(dump_->keys), rows(dump_->values));
      if (!s.ok()) return s;
    }
    return {};
  }

  const AttentionDump* dump_;
  std::unique_ptr<KvCache> cache_;
  AnalyzedCache result_;
};

// The first feed is the reference of all.
Status FeedBlocks(const CacheGeometry& g, std::vector<Feed>& feeds) {
  for (int block = 0; block < g.max_blocks; ++block) {
    for (Feed& feed : feeds) {
      if (Status s = feed.BeginBlock(); !s.ok()) return s;
    }
    for (int layer = 0; layer < g.layers; ++layer) {
      const at::Tensor reference = feeds[0].Attend(layer);
      for (size_t i = 1; i < feeds.size(); ++i) {
        feeds[i].SetError(layer, RelativeError(feeds[i].Attend(layer), reference));
      }
    }
    for (Feed& feed : feeds) {
      if (Status s = feed.EndBlock(); !s.ok()) return s;
    }
  }
  return {};
}

std::vector<AnalyzedChunk> ChunksOf(const KvCache& cache) {
  const CacheGeometry& g = cache.geometry();
  const int chunk_blocks = cache.schedule().chunk_blocks;
  std::vector<AnalyzedChunk> chunks;
  for (const ChunkRecord& record : cache.chunks()) {
    AnalyzedChunk chunk{.record = record};
    chunk.first_block = record.decision.chunk * chunk_blocks;
    chunk.blocks = std::min(chunk_blocks, cache.blocks() - chunk.first_block);
    chunk.tokens = chunk.blocks * g.tokens_per_block;
    const bool near = record.decision.action == ChunkAction::kWindow;
    chunk.held = chunk.least_held = chunk.most_held = near ? chunk.tokens : 0;
    if (!near) chunk.least_held = chunk.tokens;
    chunks.push_back(chunk);
  }
  for (int lane = 0; lane < g.lanes(); ++lane) {
    std::vector<int> held(chunks.size(), 0);
    for (const FarToken& token : cache.store().far(lane / g.kv_heads, lane % g.kv_heads)) {
      if (token.chunk >= 0) ++held[token.chunk];
    }
    for (size_t i = 0; i < chunks.size(); ++i) {
      AnalyzedChunk& chunk = chunks[i];
      if (chunk.record.decision.action == ChunkAction::kWindow) continue;
      chunk.held += static_cast<double>(held[i]) / g.lanes();
      chunk.least_held = std::min(chunk.least_held, held[i]);
      chunk.most_held = std::max(chunk.most_held, held[i]);
    }
  }
  return chunks;
}

Result<Analysis> Run(const AttentionDump& dump, const CacheConfig& config,
                     const std::vector<std::pair<int, int>>& cue_blocks) {
  const EpisodeFacts facts{.stream_key = 0, .cue_blocks = cue_blocks};
  std::vector<Feed> feeds;
  const auto add = [&](const CacheConfig& settings, std::string name) -> Status {
    Result<Feed> feed = Feed::Create(dump, settings, std::move(name), facts);
    if (!feed.ok()) return feed.status();
    feeds.push_back(*std::move(feed));
    return {};
  };
  for (const char* storage : {"f32", "bf16", "int8"}) {
    CacheConfig full;
    full.window_blocks = config.window_blocks;
    full.chunk_blocks = config.chunk_blocks;
    full.storage = storage;
    if (Status s = add(full, std::string("full ") + storage); !s.ok()) return s;
  }
  if (Status s = add(config, config.policy); !s.ok()) return s;
  if (Status s = FeedBlocks(dump.geometry, feeds); !s.ok()) return s;
  Analysis analysis;
  analysis.geometry = dump.geometry;
  analysis.config = config;
  analysis.traits = TraitsOf(config);
  analysis.chunks = ChunksOf(feeds.back().cache());
  analysis.decisions = feeds.back().cache().decision_log();
  analysis.method = feeds.back().Take();
  feeds.pop_back();
  for (Feed& feed : feeds) analysis.full.push_back(feed.Take());
  return analysis;
}

}  // namespace

ErrorSummary SummarizeErrors(const Analysis& analysis, const AnalyzedCache& cache, int layer) {
  const int blocks = analysis.blocks();
  const size_t begin = static_cast<size_t>(std::max(layer, 0)) * blocks;
  const size_t count = layer < 0 ? cache.errors.size() : blocks;
  ErrorSummary summary;
  for (size_t i = begin; i < begin + count; ++i) {
    summary.mean += cache.errors[i] / static_cast<double>(count);
    if (cache.errors[i] <= summary.max) continue;
    summary.max = cache.errors[i];
    summary.max_block = static_cast<int>(i % blocks);
  }
  return summary;
}

Result<Analysis> AnalyzeDump(const AttentionDump& dump, const CacheConfig& config,
                             const std::vector<std::pair<int, int>>& cue_blocks) {
  if (Status s = CheckMethod(config, cue_blocks, dump.geometry.max_blocks); !s.ok()) return s;
  try {
    return Run(dump, config, cue_blocks);
  } catch (const c10::Error& e) {
    return InternalError(fmt::format("{}: {}", config.policy, e.what_without_backtrace()));
  }
}

Result<Analysis> AnalyzeDumpFile(const std::filesystem::path& path, const CacheConfig& config,
                                 const std::vector<std::pair<int, int>>& cue_blocks) {
  const Result<AttentionDump> dump = ReadAttentionDump(path);
  if (!dump.ok()) return dump.status();
  return AnalyzeDump(*dump, config, cue_blocks);
}

}  // namespace kvla

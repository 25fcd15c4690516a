// Settings of a cache and the shape of the decoder it serves. No torch.
#ifndef KVLA_KV_EFFICIENT_CACHE_CONFIG_H_
#define KVLA_KV_EFFICIENT_CACHE_CONFIG_H_

#include <string>
#include <utility>
#include <vector>

#include "base/config_fields.h"
#include "base/status.h"

namespace kvla {

// What an arm may set. ValidateCacheConfig() refuses settings that its policy does not read.
struct CacheConfig {
  std::string policy = "full";
  int window_blocks = 16;
  int chunk_blocks = 4;
  std::string keep = "whole";
  double threshold = 0.5;
  int budget_chunks = 0;
  int sink_chunks = 1;
  double keep_rate = 0.5;
  std::string gate;

  template <class V>
  void Fields(V& v) {
    v("policy", policy,
      OneOf{"full", "window", "recompute", "sink_window", "random", "mean_pool", "oracle", "gated"},
      "cache method");
    v("window_blocks", window_blocks, Range{0, 4096}, "newest frame blocks, always kept whole");
    v("chunk_blocks", chunk_blocks, Range{1, 256}, "frame blocks a chunk, the unit of retention");
    v("keep", keep, OneOf{"whole", "compressed"},
      "how a retained chunk is stored: every token, or one summary per token slot "
      "(sink_window, random, oracle, gated)");
    v("threshold", threshold, Range{0.0, 1.0}, "chunks scored at or above it are kept (gated)");
    v("budget_chunks", budget_chunks, Range{0, 100000},
      "most old chunks kept at any time, 0: no limit (random, gated)");
    v("sink_chunks", sink_chunks, Range{1, 4096}, "first chunks kept (sink_window)");
    v("keep_rate", keep_rate, Range{0.0, 1.0},
      "probability that a chunk is kept (random without budget_chunks)");
    v("gate", gate, "safetensors file of the trained gate (gated)");
  }
};

// The decoder's side: equal for every arm of a study.
struct CacheGeometry {
  int layers = 0;
  int heads = 0;
  int kv_heads = 0;
  int head_dim = 0;
  int tokens_per_block = 0;
  int max_blocks = 0;          // frame blocks of the longest episode
  int instruction_tokens = 0;  // at most so many; always kept
  double rope_theta = 10000.0;
  int age_clamp_blocks = 0;  // rotary distance of every far token, in blocks

  int lanes() const { return layers * kv_heads; }
  int group() const { return heads / kv_heads; }  // query heads a KV head serves
  // Width of one token in the gate's input: keys and values of all layers and KV heads.
  int gate_features() const { return 2 * lanes() * head_dim; }
};

// Contradictory settings, or settings that the policy does not read, are kBadInput.
Status ValidateCacheConfig(const CacheConfig& config);
Status ValidateCacheGeometry(const CacheGeometry& geometry);

// Says when an arm holds the cue without having chosen to: its window still reaches back to the cue
// at the decision, or its kept first tokens cover it. Empty: no such thing.
// cue_blocks: half-open ranges of frame blocks; decision_block: the block that needs the cue.
std::string CueCoverageWarning(const CacheConfig& config,
                               const std::vector<std::pair<int, int>>& cue_blocks,
                               int decision_block);

}  // namespace kvla

#endif  // KVLA_KV_EFFICIENT_CACHE_CONFIG_H_

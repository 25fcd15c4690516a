// SPDX-License-Identifier: Apache-2.0
// Settings of a cache. No torch.
#ifndef KVLA_KV_EFFICIENT_METHODS_CACHE_CONFIG_H_
#define KVLA_KV_EFFICIENT_METHODS_CACHE_CONFIG_H_

#include <string>
#include <utility>
#include <vector>

#include "base/config_fields.h"
#include "base/status.h"
#include "kv_efficient/methods/method_table.h"
#include "kv_efficient/schedule.h"

namespace kvla {

// What an arm may set. ValidateCacheConfig() refuses settings that its method does not read.
struct CacheConfig {
  std::string policy = "full";
  int window_blocks = 16;
  int chunk_blocks = 4;
  std::string storage = "f32";
  std::string keep = "whole";
  double threshold = 0.5;
  int budget_chunks = 0;
  int budget_tokens = 0;
  int budget_bytes = 0;
  double budget_share = 0;
  std::string budget_of = "head";
  int read_chunks = 8;
  int sink_chunks = 1;
  int band_first = 0;
  int band_chunks = 8;
  double keep_rate = 0.5;
  std::string gate;

  template <class V>
  void Fields(V& v) {
    // Who reads a setting is in the table of methods alone.
    const auto help = [](const char* text, const char* setting) {
      return text + (" (" + ReadersOf(setting) + ")");
    };
    v("policy", policy, OneOf(CacheMethodNames()), "cache method");
    v("window_blocks", window_blocks, Range{0, 4096}, "newest frame blocks, always kept whole");
    v("chunk_blocks", chunk_blocks, Range{1, 256}, "frame blocks a chunk, the unit of retention");
    v("storage", storage, OneOf{"f32", "bf16", "int8", "int4"},
      "type of the keys and values that are held; of int8 and int4 the newest 4 frame blocks are "
      "bf16");
    v("keep", keep, OneOf{"whole", "compressed"},
      help("how a retained chunk is stored: every token, or one summary per token slot", "keep")
          .c_str());
    v("threshold", threshold, Range{0.0, 1.0},
      help("chunks scored at or above it are kept", "threshold").c_str());
    v("budget_chunks", budget_chunks, Range{0, 100000},
      help("most old chunks kept at any time, 0: no limit", "budget_chunks").c_str());
    v("budget_tokens", budget_tokens, Range{0, 1000000},
      help("most old tokens that each layer and head keeps, 0: no limit", "budget_tokens").c_str());
    v("budget_bytes", budget_bytes, Range{0, 2000000000},
      help("most bytes of old tokens, as they are stored, over all layers and heads, 0: no limit",
           "budget_bytes")
          .c_str());
    v("budget_share", budget_share, Range{0.0, 1.0},
      help("the same as a share of the bytes that 'full' would hold of them in f32, 0: no limit",
           "budget_share")
          .c_str());
    v("budget_of", budget_of, OneOf{"head", "layer"},
      help("who shares a budget: a head has its own, or the heads of a layer compete for theirs, "
           "of which each has a fifth of its share for sure (Ada-KV)",
           "budget_of")
          .c_str());
    v("read_chunks", read_chunks, Range{1, 100000},
      help("old chunks that each head reads at a time", "read_chunks").c_str());
    v("sink_chunks", sink_chunks, Range{1, 4096}, help("first chunks kept", "sink_chunks").c_str());
    v("band_first", band_first, Range{0, 100000},
      help("first chunk of the band", "band_first").c_str());
    v("band_chunks", band_chunks, Range{1, 100000},
      help("chunks of the band", "band_chunks").c_str());
    v("keep_rate", keep_rate, Range{0.0, 1.0},
      help("probability that a chunk is kept, without budget_chunks", "keep_rate").c_str());
    v("gate", gate, help("safetensors file of the trained gate", "gate").c_str());
  }

  BlockSchedule schedule() const { return {window_blocks, chunk_blocks}; }
};

// Contradictory settings, or settings that the method does not read, are kBadInput.
Status ValidateCacheConfig(const CacheConfig& config);

// Says when an arm holds the cue without having chosen to: its window still reaches back to the cue
// at the decision, or its kept first tokens cover it. Empty: no such thing.
// cue_blocks: half-open ranges of frame blocks; decision_block: the block that needs the cue.
std::string CueCoverageWarning(const CacheConfig& config,
                               const std::vector<std::pair<int, int>>& cue_blocks,
                               int decision_block);

}  // namespace kvla

#endif  // KVLA_KV_EFFICIENT_METHODS_CACHE_CONFIG_H_

// SPDX-License-Identifier: Apache-2.0
// `kvla analyze`: what a cache method makes of a dump, block by block, and what it costs. No torch.
#ifndef KVLA_HARNESS_ANALYZE_ANALYSIS_H_
#define KVLA_HARNESS_ANALYZE_ANALYSIS_H_

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "base/chunk_decision.h"
#include "base/status.h"
#include "kv_efficient/cache_geometry.h"
#include "kv_efficient/methods/cache_config.h"
#include "kv_efficient/plan.h"

namespace kvla {

struct AttentionDump;

// One cache that was fed with the whole dump.
struct AnalyzedCache {
  std::string name;  // "h2o", "full bf16"
  // [layers, blocks]: ||out - out of full in f32|| / ||out of full in f32|| over all heads and
  // tokens of the block. Infinite where that output is all zeros and this one is not.
  std::vector<double> errors;
  std::vector<int64_t> live_bytes;  // [blocks], held after the block
  int64_t committed_bytes = 0;      // most pages held in the last block
  int64_t transient_bytes = 0;      // the largest temporary of planning and applying
  int64_t method_bytes = 0;         // the method's own, at the end
  double attention_flops = 0;       // of all blocks, by the cost model
  double method_flops = 0;          // ... the method's own
};

// One chunk at the end.
struct AnalyzedChunk {
  ChunkRecord record;
  int first_block = 0, blocks = 0;
  int tokens = 0;  // that it had, a lane
  // Held by a lane, a summary counted as one: the mean, and over the lanes.
  double held = 0;
  int least_held = 0, most_held = 0;
};

struct Analysis {
  CacheGeometry geometry;
  CacheConfig config;
  MethodTraits traits;
  AnalyzedCache method;
  std::vector<AnalyzedCache> full;  // in f32, bf16 and int8
  std::vector<AnalyzedChunk> chunks;
  std::vector<DecisionEvent> decisions;  // every one, in order

  int blocks() const { return geometry.max_blocks; }
  bool anything_left() const { return !decisions.empty(); }
};

struct ErrorSummary {
  double mean = 0, max = 0;
  int max_block = 0;  // the first that has it
};
// Over the blocks of a layer, or of all (-1).
ErrorSummary SummarizeErrors(const Analysis& analysis, const AnalyzedCache& cache, int layer = -1);

// Feeds the dump to a cache of `config` and to `full` with the same window and chunks.
// `cue_blocks`: half-open, for the method that is told them, and for no other. BadInput: the config
// is wrong, or its method cannot be run on a dump.
Result<Analysis> AnalyzeDump(const AttentionDump& dump, const CacheConfig& config,
                             const std::vector<std::pair<int, int>>& cue_blocks = {});
// ReadAttentionDump(), and that.
Result<Analysis> AnalyzeDumpFile(const std::filesystem::path& path, const CacheConfig& config,
                                 const std::vector<std::pair<int, int>>& cue_blocks = {});

}  // namespace kvla

#endif  // KVLA_HARNESS_ANALYZE_ANALYSIS_H_

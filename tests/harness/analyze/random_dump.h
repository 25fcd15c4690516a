// SPDX-License-Identifier: Apache-2.0
// Dumps of random numbers, as values and as files.
#ifndef KVLA_TESTS_HARNESS_ANALYZE_RANDOM_DUMP_H_
#define KVLA_TESTS_HARNESS_ANALYZE_RANDOM_DUMP_H_

#include <string>

#include "harness/analyze/attention_dump.h"
#include "tensors/safetensors.h"
#include "tests/kv_efficient/every_method.h"
#include "tests/scratch_dir.h"

namespace kvla {

// `blocks` of SmallGeometry().
inline AttentionDump RandomDump(int blocks, int seed) {
  AttentionDump dump;
  dump.geometry = SmallGeometry();
  dump.geometry.max_blocks = blocks;
  const CacheGeometry& g = dump.geometry;
  const int64_t tokens = g.instruction_tokens + int64_t{blocks} * g.tokens_per_block;
  torch::manual_seed(seed);
  dump.keys = torch::randn({g.layers, g.kv_heads, tokens, g.head_dim});
  dump.values = torch::randn({g.layers, g.kv_heads, tokens, g.head_dim});
  dump.queries = 1.5 * torch::randn({g.layers, g.heads, tokens, g.head_dim});
  return dump;
}

// What ReadAttentionDump() reads.
inline TensorFile FileOf(const AttentionDump& dump) {
  TensorFile file;
  file.tensors = {{"keys", dump.keys}, {"values", dump.values}, {"queries", dump.queries}};
  file.metadata = {
      {"tokens_per_block", std::to_string(dump.geometry.tokens_per_block)},
      {"instruction_tokens", std::to_string(dump.geometry.instruction_tokens)},
      {"age_clamp_blocks", std::to_string(dump.geometry.age_clamp_blocks)},
  };
  return file;
}

}  // namespace kvla

#endif  // KVLA_TESTS_HARNESS_ANALYZE_RANDOM_DUMP_H_

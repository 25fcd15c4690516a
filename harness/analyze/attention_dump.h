// SPDX-License-Identifier: Apache-2.0
// Queries, keys and values of a model, as somebody has written them down. torch.
//
// A safetensors file with the tensors "keys" and "values" [layers, kv_heads, tokens, head_dim] and
// "queries" [layers, heads, tokens, head_dim], and metadata (docs/analyze.md).
#ifndef KVLA_HARNESS_ANALYZE_ATTENTION_DUMP_H_
#define KVLA_HARNESS_ANALYZE_ATTENTION_DUMP_H_

#include <ATen/core/Tensor.h>

#include <filesystem>

#include "base/status.h"
#include "kv_efficient/cache_geometry.h"

namespace kvla {

struct AttentionDump {
  CacheGeometry geometry;  // max_blocks: the blocks that there are; they follow the instruction
  at::Tensor keys, values, queries;  // f32, finite, their shapes those of the geometry
};

// BadInput names the file, the tensor or the metadata, and what would be right.
Result<AttentionDump> ReadAttentionDump(const std::filesystem::path& path);

}  // namespace kvla

#endif  // KVLA_HARNESS_ANALYZE_ATTENTION_DUMP_H_

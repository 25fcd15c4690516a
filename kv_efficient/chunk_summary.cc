// SPDX-License-Identifier: Apache-2.0
#include "kv_efficient/chunk_summary.h"

#include <cstdint>
#include <vector>

#include "tensors/torch.h"

namespace kvla {

at::Tensor SummarizeChunk(const at::Tensor& x, int chunk_blocks, int tokens_per_block) {
  std::vector<int64_t> shape = x.sizes().vec();
  const int64_t tokens = shape[shape.size() - 2], width = shape.back();
  const int64_t chunks = tokens / (int64_t{chunk_blocks} * tokens_per_block);
  shape.resize(shape.size() - 2);
  std::vector<int64_t> out_shape = shape;
  shape.insert(shape.end(), {chunks, chunk_blocks, tokens_per_block, width});
  out_shape.insert(out_shape.end(), {chunks * tokens_per_block, width});
  return x.reshape(shape).mean(-3).reshape(out_shape);
}

at::Tensor SummarizeFrames(const at::Tensor& x, int tokens_per_block) {
  return x.unflatten(-2, {-1, tokens_per_block}).mean(-2);
}

}  // namespace kvla

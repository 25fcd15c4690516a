// SPDX-License-Identifier: Apache-2.0
// What a compressed chunk is made of. torch.
#ifndef KVLA_KV_EFFICIENT_CHUNK_SUMMARY_H_
#define KVLA_KV_EFFICIENT_CHUNK_SUMMARY_H_

#include <ATen/core/Tensor.h>

namespace kvla {

// Per token slot, the mean over the blocks of a chunk: [..., chunks * blocks * T, D] ->
// [..., chunks * T, D]. Shared by the store, the training path and methods. Differentiable.
at::Tensor SummarizeChunk(const at::Tensor& x, int chunk_blocks, int tokens_per_block);
// Per block, the mean over its tokens: [..., blocks * T, D] -> [..., blocks, D].
at::Tensor SummarizeFrames(const at::Tensor& x, int tokens_per_block);

}  // namespace kvla

#endif  // KVLA_KV_EFFICIENT_CHUNK_SUMMARY_H_

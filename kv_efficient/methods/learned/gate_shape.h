// SPDX-License-Identifier: Apache-2.0
// Sizes and parts of a chunk gate. No torch.
#ifndef KVLA_KV_EFFICIENT_METHODS_LEARNED_GATE_SHAPE_H_
#define KVLA_KV_EFFICIENT_METHODS_LEARNED_GATE_SHAPE_H_

namespace kvla {

struct GateShape {
  int features = 0;      // CacheGeometry::gate_features()
  int chunk_tokens = 0;  // chunk_blocks * tokens_per_block
  int hidden = 64;
  // The paper's two parts, which an ablation leaves out: without the MLP a chunk is the mean of its
  // tokens through one linear map, without the LSTM it is judged by itself.
  bool mlp = true;
  bool lstm = true;

  // What comes out of a chunk's tokens.
  int pooled() const { return mlp ? 2 * hidden : features; }
};

}  // namespace kvla

#endif  // KVLA_KV_EFFICIENT_METHODS_LEARNED_GATE_SHAPE_H_

// SPDX-License-Identifier: Apache-2.0
// Analytic cost of one inference, and the paper's formulas beside it. No torch.
#ifndef KVLA_KV_EFFICIENT_COST_MODEL_H_
#define KVLA_KV_EFFICIENT_COST_MODEL_H_

#include <cstdint>

#include "base/config_fields.h"
#include "kv_efficient/cache_geometry.h"

namespace kvla {

// The decoder's linear layers: Llama blocks with SwiGLU.
struct DecoderShape {
  int width = 0;      // hidden size
  int mlp_width = 0;  // intermediate size
};

// Of one inference. A multiply-add is 2 FLOPs; norms, activations, softmax, rotations and means are
// left out. The instruction's pass is in no inference: it comes once an episode, before the first
// one, and is the same under every method.
struct FlopParts {
  double encode = 0;     // images and robot state
  double linear = 0;     // projections and MLPs of the decoder
  double attention = 0;  // q.k and p.v, over both regions
  double heads = 0;
  double gate = 0;  // the cache method's own
  double total() const { return encode + linear + attention + heads + gate; }
};

// The decoder's parts; the others are left 0. `attended_tokens`: keys each query meets, far and
// near, the block's own included (mean over lanes).
FlopParts DecoderFlops(const CacheGeometry& geometry, const DecoderShape& decoder, int query_tokens,
                       double attended_tokens);

// 2 * layers * kv_heads * head_dim * tokens * bytes_per_value.
int64_t KvBytes(const CacheGeometry& geometry, int64_t tokens, int bytes_per_value = 4);

// A VLA of a real size on a real device: what a cache would cost there. The defaults have the
// dimensions of OpenVLA (Llama 2 7B, 256 patch tokens an image, 7 action tokens) and what a GPU
// with 1 TB/s and 165 dense bfloat16 TFLOP/s sustains.
struct VlaCost {
  int layers = 32;
  int heads = 32;
  int kv_heads = 32;
  int head_dim = 128;
  int width = 4096;
  int mlp_width = 11008;
  int tokens_per_block = 256;
  int decode_passes = 7;
  int bytes_per_value = 2;
  int gate_hidden = 64;
  double encoder_gflops = 370;
  double tflops = 80;
  double gbytes_per_s = 800;
  double fixed_ms = 5;

  template <class V>
  void Fields(V& v) {
    v("layers", layers, Range{1, 1000}, "decoder layers");
    v("heads", heads, Range{1, 1000}, "query heads");
    v("kv_heads", kv_heads, Range{1, 1000}, "key-value heads");
    v("head_dim", head_dim, Range{1, 4096}, "width of a head");
    v("width", width, Range{1, 100000}, "hidden size");
    v("mlp_width", mlp_width, Range{1, 1000000}, "width of the SwiGLU");
    v("tokens_per_block", tokens_per_block, Range{1, 100000}, "tokens an inference appends");
    v("decode_passes", decode_passes, Range{0, 10000},
      "passes of one token after the block's, 0: the action comes out of the block's own pass");
    v("bytes_per_value", bytes_per_value, Range{1, 8}, "of weights, keys and values");
    v("gate_hidden", gate_hidden, Range{1, 10000}, "width of the gate (gated)");
    v("encoder_gflops", encoder_gflops, Range{0, 1e9}, "GFLOP of the image encoder, a block");
    v("tflops", tflops, Range{1e-6, 1e9}, "TFLOP/s that the device sustains");
    v("gbytes_per_s", gbytes_per_s, Range{1e-6, 1e9}, "GB/s of memory that it sustains");
    v("fixed_ms", fixed_ms, Range{0, 1e6}, "of an inference, whatever the cache: camera, network");
  }
};

// Seconds of one inference there: each pass takes as long as its arithmetic or its memory traffic
// (weights once, and the keys and values of `attended_tokens`), whichever is longer. `gate_tokens`:
// of the chunk that leaves in this inference, whose keys and values the gate reads, once, beside
// its own weights; 0: none leaves, or no gate.
double InferenceSeconds(const VlaCost& cost, double attended_tokens, double gate_tokens);

// Bytes of the decoder's weights, and of the keys and values of so many tokens.
double WeightBytes(const VlaCost& cost);
double KvBytes(const VlaCost& cost, double tokens);

}  // namespace kvla

#endif  // KVLA_KV_EFFICIENT_COST_MODEL_H_

// Analytic cost of one inference, and the paper's formulas beside it. No torch.
#ifndef KVLA_KV_EFFICIENT_COST_MODEL_H_
#define KVLA_KV_EFFICIENT_COST_MODEL_H_

#include <cstdint>

#include "kv_efficient/cache_config.h"

namespace kvla {

// The decoder's linear layers: Llama blocks with SwiGLU.
struct DecoderShape {
  int width = 0;      // hidden size
  int mlp_width = 0;  // intermediate size
};

// A multiply-add is 2 FLOPs; norms, activations and softmax are left out.
struct FlopParts {
  double encode = 0;     // image encoder, as given by the caller
  double linear = 0;     // projections and MLPs of the decoder
  double attention = 0;  // q.k and p.v
  double gate = 0;       // the cache method's own
  double total() const { return encode + linear + attention + gate; }
};

// `attended_tokens`: keys each query meets, the block's own included (mean over lanes).
FlopParts InferenceFlops(const CacheGeometry& geometry, const DecoderShape& decoder,
                         int query_tokens, double attended_tokens, double encode_flops,
                         double gate_flops);

// 2 * layers * kv_heads * head_dim * tokens * bytes_per_value.
int64_t KvBytes(const CacheGeometry& geometry, int64_t tokens, int bytes_per_value = 4);

// The paper's retained length, W + rho * (N - W) * r, for a history of n >= w tokens: rho is the
// share of old tokens retained, r the tokens stored for each of them. n < w: n.
double PaperRetainedTokens(double n, double w, double rho, double r);
// Full over retained: 1.87 means that 53.5% is kept.
double PaperMemoryRatio(double n, double w, double rho, double r);
// The share of FLOPs saved if the speed followed them: 1 - 1 / speedup.
double PaperFlopsSaved(double speedup);

}  // namespace kvla

#endif  // KVLA_KV_EFFICIENT_COST_MODEL_H_

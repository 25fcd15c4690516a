#include "kv_efficient/cost_model.h"

#include <algorithm>

namespace kvla {

FlopParts InferenceFlops(const CacheGeometry& g, const DecoderShape& decoder, int query_tokens,
                         double attended_tokens, double encode_flops, double gate_flops) {
  const double d = decoder.width;
  const double q = static_cast<double>(g.heads) * g.head_dim;
  const double kv = static_cast<double>(g.kv_heads) * g.head_dim;
  const double weights = d * q + 2 * d * kv + q * d + 3 * d * decoder.mlp_width;
  FlopParts parts;
  parts.encode = encode_flops;
  parts.linear = 2 * weights * g.layers * query_tokens;
  parts.attention = 2 * 2 * q * g.layers * query_tokens * attended_tokens;
  parts.gate = gate_flops;
  return parts;
}

int64_t KvBytes(const CacheGeometry& g, int64_t tokens, int bytes_per_value) {
  return int64_t{2} * g.layers * g.kv_heads * g.head_dim * tokens * bytes_per_value;
}

double PaperRetainedTokens(double n, double w, double rho, double r) {
  return n <= w ? n : w + rho * (n - w) * r;
}

double PaperMemoryRatio(double n, double w, double rho, double r) {
  return n / PaperRetainedTokens(n, w, rho, r);
}

double PaperFlopsSaved(double speedup) { return 1 - 1 / std::max(speedup, 1e-12); }

}  // namespace kvla

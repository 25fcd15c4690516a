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

double InferenceSeconds(const VlaCost& cost, double attended_tokens, bool gated) {
  CacheGeometry g;
  g.layers = cost.layers;
  g.heads = cost.heads;
  g.kv_heads = cost.kv_heads;
  g.head_dim = cost.head_dim;
  const DecoderShape decoder{cost.width, cost.mlp_width};
  const double flops_per_s = cost.tflops * 1e12, bytes_per_s = cost.gbytes_per_s * 1e9;
  // Two FLOPs a weight and token.
  const double weights = InferenceFlops(g, decoder, 1, 0, 0, 0).linear / 2;
  const double bytes =
      cost.bytes_per_value * (weights + static_cast<double>(KvBytes(g, 1, 1)) * attended_tokens);
  const auto pass = [&](int tokens, double encode_flops) {
    const double flops =
        InferenceFlops(g, decoder, tokens, attended_tokens, encode_flops, 0).total();
    return std::max(flops / flops_per_s, bytes / bytes_per_s);
  };
  double seconds = cost.fixed_ms / 1e3;
  seconds += pass(cost.tokens_per_block, cost.encoder_gflops * 1e9);
  seconds += cost.decode_passes * pass(1, 0);
  if (gated) {
    const double features = static_cast<double>(KvBytes(g, 1, 1));  // of a token
    const double hidden = cost.gate_hidden, tokens = cost.tokens_per_block;
    const double flops = 2 * tokens * hidden * (features + hidden);
    seconds +=
        std::max(flops / flops_per_s, cost.bytes_per_value * features * tokens / bytes_per_s);
  }
  return seconds;
}

double PaperRetainedTokens(double n, double w, double rho, double r) {
  return n <= w ? n : w + rho * (n - w) * r;
}

double PaperMemoryRatio(double n, double w, double rho, double r) {
  return n / PaperRetainedTokens(n, w, rho, r);
}

double PaperFlopsSaved(double speedup) { return 1 - 1 / std::max(speedup, 1e-12); }

}  // namespace kvla

// SPDX-License-Identifier: Apache-2.0
#include "kv_efficient/cost_model.h"

#include "kv_efficient/pass_seconds.h"

namespace kvla {

namespace {

CacheGeometry GeometryOf(const VlaCost& cost) {
  CacheGeometry g;
  g.layers = cost.layers;
  g.heads = cost.heads;
  g.kv_heads = cost.kv_heads;
  g.head_dim = cost.head_dim;
  return g;
}

DecoderShape ShapeOf(const VlaCost& cost) { return {cost.width, cost.mlp_width}; }

}  // namespace

FlopParts DecoderFlops(const CacheGeometry& g, const DecoderShape& decoder, int query_tokens,
                       double attended_tokens) {
  const double d = decoder.width;
  const double q = static_cast<double>(g.heads) * g.head_dim;
  const double kv = static_cast<double>(g.kv_heads) * g.head_dim;
  const double weights = d * q + 2 * d * kv + q * d + 3 * d * decoder.mlp_width;
  FlopParts parts;
  parts.linear = 2 * weights * g.layers * query_tokens;
  parts.attention = 2 * 2 * q * g.layers * query_tokens * attended_tokens;
  return parts;
}

int64_t KvBytes(const CacheGeometry& g, int64_t tokens, int bytes_per_value) {
  return int64_t{2} * g.layers * g.kv_heads * g.head_dim * tokens * bytes_per_value;
}

double WeightBytes(const VlaCost& cost) {
  // Two FLOPs a weight and token.
  return cost.bytes_per_value * DecoderFlops(GeometryOf(cost), ShapeOf(cost), 1, 0).linear / 2;
}

double KvBytes(const VlaCost& cost, double tokens) {
  return static_cast<double>(KvBytes(GeometryOf(cost), 1, cost.bytes_per_value)) * tokens;
}

double InferenceSeconds(const VlaCost& cost, double attended_tokens, double gate_tokens) {
  const double flops_per_s = cost.tflops * 1e12, bytes_per_s = cost.gbytes_per_s * 1e9;
  const double bytes = WeightBytes(cost) + KvBytes(cost, attended_tokens);
  const auto pass = [&](int tokens, double encode_flops) {
    FlopParts parts = DecoderFlops(GeometryOf(cost), ShapeOf(cost), tokens, attended_tokens);
    parts.encode = encode_flops;
    return PassSeconds(parts.total(), bytes, flops_per_s, bytes_per_s);
  };
  double seconds = cost.fixed_ms / 1e3;
  seconds += pass(cost.tokens_per_block, cost.encoder_gflops * 1e9);
  seconds += cost.decode_passes * pass(1, 0);
  if (gate_tokens > 0) {
    const auto features = static_cast<double>(KvBytes(GeometryOf(cost), 1, 1));  // of a token
    const double h = cost.gate_hidden;
    const double of_token = h * features + h * h;           // weights that meet every token
    const double of_chunk = 2 * h * h + 2 * 4 * h * h + h;  // MLP, LSTM, head
    const double flops = 2 * (gate_tokens * of_token + of_chunk);
    const double read = KvBytes(cost, gate_tokens) + cost.bytes_per_value * (of_token + of_chunk);
    seconds += PassSeconds(flops, read, flops_per_s, bytes_per_s);
  }
  return seconds;
}

}  // namespace kvla

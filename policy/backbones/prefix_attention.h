// SPDX-License-Identifier: Apache-2.0
// What a backbone's layers attend to: the rows of its prefix, and queries that leave none. torch.
#ifndef KVLA_POLICY_BACKBONES_PREFIX_ATTENTION_H_
#define KVLA_POLICY_BACKBONES_PREFIX_ATTENTION_H_

#include <ATen/core/Tensor.h>

#include <span>
#include <vector>

#include "kv_efficient/attended_rows.h"
#include "kv_efficient/kv_cache.h"
#include "policy/compact/net/decoder.h"

namespace kvla {

// Keys and values of one layer, [kv_heads, tokens, head_dim].
struct KvRows {
  at::Tensor keys, values;
};

// Positions are the backbone's own: keys and queries come rotated. Each layer appends once; what
// queries attend to is all that their layer has appended. Throws c10::Error on wrong shapes.
class PrefixAttention {
 public:
  virtual ~PrefixAttention() = default;
  // Appends a layer's keys and values, and lets its queries attend. `segments`: tokens of the
  // prefix that see each other and all of earlier segments, one after the other; they add up to n.
  // -> [heads, n, head_dim].
  virtual at::Tensor Append(int layer, const Qkv& rows, std::span<const int> segments) = 0;
  // q [heads, m, head_dim]; nothing is appended.
  virtual AttendedRows Query(int layer, const at::Tensor& q) = 0;
  // All that queries of the layer attend to, keys rotated as they meet them.
  virtual KvRows Rows(int layer) = 0;
  // Over rows that were made of Rows(); here so that whoever measures attention sees it.
  virtual at::Tensor Over(const at::Tensor& q, const KvRows& rows);
};

// Tensors that are thrown away with it: the published models' own way.
class PlainPrefix : public PrefixAttention {
 public:
  explicit PlainPrefix(int layers) : layers_(layers) {}
  at::Tensor Append(int layer, const Qkv& rows, std::span<const int> segments) override;
  AttendedRows Query(int layer, const at::Tensor& q) override;
  KvRows Rows(int layer) override { return layers_.at(layer); }

 private:
  std::vector<KvRows> layers_;
};

// A cache's current block, of exactly the prefix's tokens: the caller begins and ends it. The cache
// must not turn what is rotated already (geometry.rope_theta 0).
class CachedPrefix : public PrefixAttention {
 public:
  explicit CachedPrefix(KvCache* cache) : cache_(cache), layers_(cache->geometry().layers) {}
  at::Tensor Append(int layer, const Qkv& rows, std::span<const int> segments) override;
  AttendedRows Query(int layer, const at::Tensor& q) override { return cache_->Query(layer, q); }
  // As they came, whatever type the cache holds.
  KvRows Rows(int layer) override { return layers_.at(layer); }

 private:
  KvCache* cache_;
  std::vector<KvRows> layers_;
};

// Blocks of a cache whose earlier ones were earlier prefixes, all of the same length: what is
// appended sees them too, at their distances, and so do queries. The caller begins and ends each
// block. f32, methods that keep or drop whole chunks.
class HistoryPrefix : public PrefixAttention {
 public:
  explicit HistoryPrefix(KvCache* cache) : cache_(cache) {}
  at::Tensor Append(int layer, const Qkv& rows, std::span<const int> segments) override {
    return cache_->Attend(layer, rows.q, rows.k, rows.v, segments);
  }
  AttendedRows Query(int layer, const at::Tensor& q) override { return cache_->Query(layer, q); }
  // Of the whole history, keys as the current prefix sees them.
  KvRows Rows(int layer) override;

 private:
  KvCache* cache_;
};

}  // namespace kvla

#endif  // KVLA_POLICY_BACKBONES_PREFIX_ATTENTION_H_

// SPDX-License-Identifier: Apache-2.0
// One layer's cache, filled with a random history that nobody attended to. torch.
#ifndef KVLA_HARNESS_BENCH_HISTORY_CACHE_H_
#define KVLA_HARNESS_BENCH_HISTORY_CACHE_H_

#include <ATen/core/Tensor.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "kv_efficient/kv_cache.h"

namespace kvla {

class KeptShare;

// A cache under comparison.
struct HistoryArm {
  std::string name;
  std::string storage = "f32";
  std::optional<double> rho{};  // share of the old chunks that is kept; none: all, without a gate

  // Tokens that the n-th inference attends to, its own and the prompt's included.
  int64_t Attended(const CacheGeometry& geometry, const BlockSchedule& schedule,
                   int inference) const;
  // Bytes of so many tokens' keys and values; those of scales left out.
  int64_t Bytes(const CacheGeometry& geometry, int64_t tokens) const;
};

struct HistorySettings {
  int window_blocks = 0, chunk_blocks = 0, gate_hidden = 0;
  BlockSchedule schedule() const { return {window_blocks, chunk_blocks}; }
};

class HistoryCache {
 public:
  // geometry.layers == 1.
  static Result<std::unique_ptr<HistoryCache>> Create(const CacheGeometry& geometry,
                                                      const HistoryArm& arm,
                                                      const HistorySettings& settings);

  // To the n-th inference, from an earlier one: its block is appended, and queries may attend.
  Status GoTo(int inference);
  // The same from one to the next; the gate is asked. Milliseconds go onto what the arguments say.
  Status Advance(double* append_ms, double* gate_ms, double* compact_ms);
  Status Restart();  // nothing is held but the prompt

  int inference() const { return inference_; }
  KvCache& cache() { return *cache_; }
  int64_t attended() const;   // tokens that queries meet now
  double gate_flops() const;  // of one chunk; 0: no gate

 private:
  HistoryCache() = default;
  Status Open();

  std::unique_ptr<KvCache> cache_;
  KeptShare* kept_ = nullptr;       // the cache's own
  std::vector<at::Tensor> blocks_;  // of keys, and of values, in turns
  at::Tensor prompt_;
  int inference_ = 0;
};

}  // namespace kvla

#endif  // KVLA_HARNESS_BENCH_HISTORY_CACHE_H_

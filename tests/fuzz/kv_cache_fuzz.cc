// SPDX-License-Identifier: Apache-2.0
// Saved states of a cache: any bytes are a state that the cache could have saved, which it goes on
// from, or BadInput and an empty cache. An input's first byte says which method; its second whether
// the rest is a state as it is, or changes to one that was saved: (where, two bytes; value, one).
#include <cstdint>
#include <cstdlib>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "kv_efficient/kv_cache.h"
#include "kv_efficient/kv_format.h"
#include "kv_efficient/methods/method_table.h"
#include "tensors/torch.h"

namespace kvla {
namespace {

constexpr int kMoreBlocks = 7;  // more than a chunk and a window

CacheGeometry Geometry() {
  CacheGeometry g;
  g.layers = 2;
  g.heads = 2;
  g.kv_heads = 2;
  g.head_dim = 2;
  g.tokens_per_block = 2;
  g.max_blocks = 24;
  g.instruction_tokens = 1;
  g.age_clamp_blocks = 4;
  return g;
}

std::unique_ptr<KvCache> Make(int method) {
  CacheConfig config;
  const std::vector<std::string> methods = {"full",   "mean_pool",   "random", "oracle",
                                            "snapkv", "sink_window", "h2o",    "lagkv"};
  config.policy = methods[static_cast<size_t>(method) % methods.size()];
  if (config.policy == "sink_window") config.keep = "compressed";
  if (FindCacheMethod(config.policy)->reads("budget_of")) config.budget_tokens = 5;
  const size_t format = static_cast<size_t>(method) / methods.size() % std::size(kKvFormats);
  config.storage = KvFormatName(kKvFormats[format]);
  config.window_blocks = 3;
  config.chunk_blocks = 2;
  Result<std::unique_ptr<CachePolicy>> policy = MakeCachePolicy(config, Geometry());
  if (!policy.ok()) abort();
  auto cache = KvCache::Create(Geometry(), config, *std::move(policy), at::kCPU);
  if (!cache.ok()) abort();
  return *std::move(cache);
}

// Up to so many blocks, as many as there is room for.
void Run(KvCache& cache, int blocks) {
  const CacheGeometry g = Geometry();
  const at::Tensor q = torch::ones({g.heads, g.tokens_per_block, g.head_dim});
  const at::Tensor kv = torch::ones({g.kv_heads, g.tokens_per_block, g.head_dim});
  for (int i = 0; i < blocks && cache.blocks() < g.max_blocks; ++i) {
    if (!cache.BeginBlock().ok()) abort();
    for (int layer = 0; layer < g.layers; ++layer) cache.Attend(layer, q, kv, kv);
    if (!cache.EndBlock().ok()) abort();
  }
}

// What a cache of a method has saved after 11 blocks.
const std::vector<uint8_t>& Saved(int method) {
  static std::map<int, std::vector<uint8_t>> saved;
  std::vector<uint8_t>& bytes = saved[method];
  if (!bytes.empty()) return bytes;
  const std::unique_ptr<KvCache> cache = Make(method);
  cache->Reset({.stream_key = 3, .cue_blocks = {{1, 3}}});
  const CacheGeometry g = Geometry();
  const at::Tensor word = torch::ones({g.kv_heads, g.instruction_tokens, g.head_dim});
  for (int layer = 0; layer < g.layers; ++layer) {
    if (!cache->AppendInstruction(layer, word, word).ok()) abort();
  }
  Run(*cache, 11);
  return bytes = cache->Save();
}

}  // namespace
}  // namespace kvla

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const bool one_thread = (at::set_num_threads(1), true);  // so little work needs no more
  (void)one_thread;
  static std::map<int, std::unique_ptr<kvla::KvCache>> caches;
  if (size < 2) return 0;
  const int method = data[0] % 5;
  std::vector<uint8_t> state(data + 2, data + size);
  if (data[1] % 2 == 0) {
    state = kvla::Saved(method);
    for (size_t i = 2; i + 2 < size; i += 3) {
      state[(data[i] | size_t{data[i + 1]} << 8) % state.size()] = data[i + 2];
    }
  }
  std::unique_ptr<kvla::KvCache>& cache = caches[method];
  if (cache == nullptr) cache = kvla::Make(method);
  if (!cache->Restore(state).ok()) {
    if (cache->blocks() != 0 || cache->store().held_tokens() != 0) abort();
    return 0;
  }
  if (cache->Save() != state) abort();
  kvla::Run(*cache, kvla::kMoreBlocks);
  // A state of its own is taken, and is the same; but that numbers near the largest overflow when
  // they are turned or summed up, which is refused.
  const std::vector<uint8_t> own = cache->Save();
  const kvla::Status again = cache->Restore(own);
  if (again.ok() ? cache->Save() != own
                 : again.message().find("keys or values") == std::string::npos) {
    abort();
  }
  return 0;
}

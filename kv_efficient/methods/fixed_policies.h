// The methods that learn nothing. torch.
#ifndef KVLA_KV_EFFICIENT_METHODS_FIXED_POLICIES_H_
#define KVLA_KV_EFFICIENT_METHODS_FIXED_POLICIES_H_

#include <memory>

#include "kv_efficient/cache_config.h"
#include "kv_efficient/methods/cache_policy.h"

namespace kvla {

std::unique_ptr<CachePolicy> MakeFull();
std::unique_ptr<CachePolicy> MakeWindow();
std::unique_ptr<CachePolicy> MakeRecompute();
std::unique_ptr<CachePolicy> MakeSinkWindow(const CacheConfig& config);
std::unique_ptr<CachePolicy> MakeRandom(const CacheConfig& config);
std::unique_ptr<CachePolicy> MakeMeanPool();
std::unique_ptr<CachePolicy> MakeOracle(const CacheConfig& config);

// What `keep` names.
ChunkAction KeepAction(const CacheConfig& config);

}  // namespace kvla

#endif  // KVLA_KV_EFFICIENT_METHODS_FIXED_POLICIES_H_

// The paper's method: a learned gate scores each chunk. torch.
#ifndef KVLA_KV_EFFICIENT_METHODS_GATED_POLICY_H_
#define KVLA_KV_EFFICIENT_METHODS_GATED_POLICY_H_

#include <memory>

#include "kv_efficient/methods/cache_policy.h"
#include "kv_efficient/methods/chunk_gate.h"

namespace kvla {

// `gate` is shared, read only; the LSTM's state is the policy's own.
std::unique_ptr<CachePolicy> MakeGated(ChunkGate gate, RetentionRule rule);

}  // namespace kvla

#endif  // KVLA_KV_EFFICIENT_METHODS_GATED_POLICY_H_

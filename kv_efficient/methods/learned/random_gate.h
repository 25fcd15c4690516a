// SPDX-License-Identifier: Apache-2.0
// A gate that nobody trained: what it costs is true, what it keeps means nothing. No torch.
#ifndef KVLA_KV_EFFICIENT_METHODS_LEARNED_RANDOM_GATE_H_
#define KVLA_KV_EFFICIENT_METHODS_LEARNED_RANDOM_GATE_H_

namespace torch::nn {
class Module;
}

namespace kvla {

// In the place of a gate's file (CacheConfig::gate, method `gated`): random weights of the sizes
// that decoder and cache ask for, the same every time.
inline constexpr char kRandomGate[] = "random";

void FillAtRandom(torch::nn::Module* gate);

}  // namespace kvla

#endif  // KVLA_KV_EFFICIENT_METHODS_LEARNED_RANDOM_GATE_H_

// SPDX-License-Identifier: Apache-2.0
// Methods that keep the tokens which a learned write gate admits. No torch.
#ifndef KVLA_KV_EFFICIENT_METHODS_LEARNED_WRITE_GATED_H_
#define KVLA_KV_EFFICIENT_METHODS_LEARNED_WRITE_GATED_H_

#include <string>

#include "kv_efficient/methods/method_table.h"

namespace kvla {

// A row of the table: each head keeps the tokens whose gate, told by their keys alone, is at or
// above the threshold; under a budget those of the highest. The gate must be one of this method.
CacheMethod WriteGateMethod(std::string name, std::string help, std::string gate_file);

}  // namespace kvla

#endif  // KVLA_KV_EFFICIENT_METHODS_LEARNED_WRITE_GATED_H_

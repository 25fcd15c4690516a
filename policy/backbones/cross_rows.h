// SPDX-License-Identifier: Apache-2.0
// What an expert's layer makes of a prefix that it attends to. torch.
#ifndef KVLA_POLICY_BACKBONES_CROSS_ROWS_H_
#define KVLA_POLICY_BACKBONES_CROSS_ROWS_H_

#include "policy/backbones/llama_layer.h"
#include "policy/backbones/prefix_attention.h"

namespace kvla {

// Its own keys and values of the language model's.
KvRows CrossRowsOf(const LlamaLayer& layer, const KvRows& held);

}  // namespace kvla

#endif  // KVLA_POLICY_BACKBONES_CROSS_ROWS_H_

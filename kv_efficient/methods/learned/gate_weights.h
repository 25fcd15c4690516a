// SPDX-License-Identifier: Apache-2.0
// What the files of trained gates have in common. torch.
#ifndef KVLA_KV_EFFICIENT_METHODS_LEARNED_GATE_WEIGHTS_H_
#define KVLA_KV_EFFICIENT_METHODS_LEARNED_GATE_WEIGHTS_H_

#include <torch/nn/module.h>

#include "base/status.h"
#include "tensors/safetensors.h"

namespace kvla {

// The gate's parameters become the file's tensors, all of them and no others, and it no longer
// trains. BadInput says which one does not fit.
Status FillGate(const TensorFile& file, torch::nn::Module& gate);

}  // namespace kvla

#endif  // KVLA_KV_EFFICIENT_METHODS_LEARNED_GATE_WEIGHTS_H_

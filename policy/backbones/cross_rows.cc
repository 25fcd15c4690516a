// SPDX-License-Identifier: Apache-2.0
#include "policy/backbones/cross_rows.h"

#include "tensors/torch.h"

namespace kvla {

KvRows CrossRowsOf(const LlamaLayer& layer, const KvRows& held) {
  const auto rows = [](const at::Tensor& x) { return x.transpose(0, 1).flatten(1); };
  return {layer.Keys(rows(held.keys)), layer.Values(rows(held.values))};
}

}  // namespace kvla

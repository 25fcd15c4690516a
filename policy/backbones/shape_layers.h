// SPDX-License-Identifier: Apache-2.0
// Layers of a published shape with random weights, each to be run by itself. torch.
#ifndef KVLA_POLICY_BACKBONES_SHAPE_LAYERS_H_
#define KVLA_POLICY_BACKBONES_SHAPE_LAYERS_H_

#include <cstdint>
#include <functional>

#include "policy/backbones/prefix_attention.h"
#include "policy/backbones/shape_work.h"

namespace kvla {

// What `work` says, once a call, over random rows, in inference mode. Copies of its weights that
// together take `cold_bytes`, but no more than a model has of them, take turns: a model's next
// layer finds its own in memory, not in a cache.
std::function<void()> MakeLayer(const BackboneShape& shape, const LayerWork& work,
                                int64_t cold_bytes);

// The maps by which a layer of the expert that crosses reads what the language model's layer holds:
// [kv_heads, tokens, head_dim] each.
std::function<KvRows(const KvRows&)> MakeCrossMaps(const BackboneShape& shape);

}  // namespace kvla

#endif  // KVLA_POLICY_BACKBONES_SHAPE_LAYERS_H_

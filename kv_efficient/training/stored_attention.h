// SPDX-License-Identifier: Apache-2.0
// Attention of a whole history at once, over keys and values held in another type. torch.
#ifndef KVLA_KV_EFFICIENT_TRAINING_STORED_ATTENTION_H_
#define KVLA_KV_EFFICIENT_TRAINING_STORED_ATTENTION_H_

#include <ATen/core/Tensor.h>

#include "kv_efficient/kv_format.h"
#include "kv_efficient/training/training_attention.h"

namespace kvla {

// As KvCache::Attend would have computed it, block by block, under cache.storage: a query meets
// the newest blocks in bf16 (PackedWindow), the older chunks of its window and whatever left in
// `format`, each chunk, summary and the instruction a page of its own. Arguments and result are
// those of TrainingAttention(), which it is for f32. No gradients. REQUIRES: CPU.
at::Tensor StoredAttention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                           const TrainingPlan& plan, KvFormat format);

}  // namespace kvla

#endif  // KVLA_KV_EFFICIENT_TRAINING_STORED_ATTENTION_H_

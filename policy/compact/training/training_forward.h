// SPDX-License-Identifier: Apache-2.0
// The whole of a sub-history in one pass, seeing what cached inference would see. Includes torch.
#ifndef KVLA_POLICY_COMPACT_TRAINING_TRAINING_FORWARD_H_
#define KVLA_POLICY_COMPACT_TRAINING_TRAINING_FORWARD_H_

#include <functional>

#include "kv_efficient/training/training_attention.h"
#include "policy/compact/net/vla_net.h"
#include "policy/compact/training/minibatch.h"

namespace kvla {

// Whose target the action head is told of: the demonstration's where it names one (training), or
// the most likely by the policy's own account (as in inference).
enum class Told { kTarget, kNothing };

// (layer, q, k, v, plan) -> attended, with the shapes of TrainingAttention(), which is what an
// empty one stands for.
using TrainingAttend =
    std::function<torch::Tensor(int layer, const torch::Tensor& q, const torch::Tensor& k,
                                const torch::Tensor& v, const TrainingPlan& plan)>;

// What the heads read of every frame block: [samples, blocks, tokens_per_block, hidden].
// What a block sees follows from the batch's chunk decisions by kv_efficient/training/visibility.h,
// the same rule that the cache follows; a test holds the two within 1e-5.
torch::Tensor TrainingHidden(VlaNet& net, const Batch& batch, const TrainingAttend& attend = {});

// Heads of that: HeadOutputs with leading dimensions [samples, blocks].
HeadOutputs HeadsOf(VlaNet& net, const torch::Tensor& hidden, const Batch& batch, Told told);
HeadOutputs TrainingForward(VlaNet& net, const Batch& batch, Told told,
                            const TrainingAttend& attend = {});

}  // namespace kvla

#endif  // KVLA_POLICY_COMPACT_TRAINING_TRAINING_FORWARD_H_

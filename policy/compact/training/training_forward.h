// SPDX-License-Identifier: Apache-2.0
// The whole of a sub-history in one pass, seeing what cached inference would see. Includes torch.
#ifndef KVLA_POLICY_COMPACT_TRAINING_TRAINING_FORWARD_H_
#define KVLA_POLICY_COMPACT_TRAINING_TRAINING_FORWARD_H_

#include "policy/compact/net/vla_net.h"
#include "policy/compact/training/minibatch.h"

namespace kvla {

// Whose target the action head is told of: the demonstration's where it names one (training), or
// the most likely by the policy's own account (as in inference).
enum class Told { kTarget, kNothing };

// Heads for every frame block: HeadOutputs with leading dimensions [samples, blocks].
// What a block sees follows from the batch's chunk decisions by kv_efficient/training/visibility.h,
// the same rule that the cache follows; a test holds the two within 1e-5.
HeadOutputs TrainingForward(VlaNet& net, const Batch& batch, Told told);

}  // namespace kvla

#endif  // KVLA_POLICY_COMPACT_TRAINING_TRAINING_FORWARD_H_

// SPDX-License-Identifier: Apache-2.0
// How well a net does on demonstrations that it is not trained on. Includes torch.
#ifndef KVLA_POLICY_COMPACT_TRAINING_VALIDATION_H_
#define KVLA_POLICY_COMPACT_TRAINING_VALIDATION_H_

#include <optional>
#include <string>

#include "policy/compact/training/training_set.h"

namespace kvla {

struct ValidationOptions {
  int samples = 16;                         // of each of a few draws
  SubHistoryOptions histories;              // of those
  std::optional<SubHistoryOptions> wholes;  // what is right among 48 blocks can be wrong among 300
};

// "validation: action loss ..., target right at the cue ..., in use ...; TASK ...; whole histories
// ...": the same draws every time. `net` is in evaluation mode, the calling thread without
// gradients.
std::string ValidationNote(VlaNet& net, const TrainingSet& set, const ValidationOptions& options);

}  // namespace kvla

#endif  // KVLA_POLICY_COMPACT_TRAINING_VALIDATION_H_

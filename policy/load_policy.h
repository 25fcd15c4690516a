// SPDX-License-Identifier: Apache-2.0
// One policy of those that there are, by what its source is. No torch.
#ifndef KVLA_POLICY_LOAD_POLICY_H_
#define KVLA_POLICY_LOAD_POLICY_H_

#include <memory>
#include <string>

#include "base/status.h"
#include "policy/policy.h"
#include "policy/policy_source.h"

namespace kvla {

// Without its weights. BadInput: there is no such policy, or source and robot do not fit; says what
// would.
Result<PolicyDescription> DescribePolicy(const PolicySource& source);

// Names its weights (16 hex digits): of a folder its content, of a shape what the weights are drawn
// from.
Result<std::string> HashPolicy(const PolicySource& source);

Result<std::unique_ptr<Policy>> LoadPolicy(const PolicySource& source);

}  // namespace kvla

#endif  // KVLA_POLICY_LOAD_POLICY_H_

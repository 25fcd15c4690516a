// SPDX-License-Identifier: Apache-2.0
// Whether a policy is shown what it wants. No torch.
#ifndef KVLA_POLICY_FRAME_CHECK_H_
#define KVLA_POLICY_FRAME_CHECK_H_

#include "base/status.h"
#include "policy/policy.h"

namespace kvla {

// BadInput unless there is an image of each of the spec's cameras, of its size.
Status CheckFrame(const PolicySpec& spec, const FrameInput& frame);

}  // namespace kvla

#endif  // KVLA_POLICY_FRAME_CHECK_H_

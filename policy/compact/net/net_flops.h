// SPDX-License-Identifier: Apache-2.0
// The work of the net outside its decoder. Includes torch.
#ifndef KVLA_POLICY_COMPACT_NET_NET_FLOPS_H_
#define KVLA_POLICY_COMPACT_NET_NET_FLOPS_H_

#include "policy/compact/net/vla_net.h"

namespace kvla {

// Of one inference; a multiply-add is 2 FLOPs, norms and activations are left out.
struct NetFlops {
  double encode = 0;  // images and robot state
  double heads = 0;
  double memory = 0;  // of a recurrent policy: state and tokens
};

NetFlops NetFlopsOf(const VlaNet& net);

}  // namespace kvla

#endif  // KVLA_POLICY_COMPACT_NET_NET_FLOPS_H_

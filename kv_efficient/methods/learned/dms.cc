// SPDX-License-Identifier: Apache-2.0
// Dynamic memory sparsification (arXiv 2506.05345): one learned bit a token and head says whether
// it goes once the window has passed. The published bit is linear in the hidden state; here it is
// linear in the key, as it is and as its position turns it.
#include "kv_efficient/methods/learned/write_gated.h"

namespace kvla {

CacheMethod DmsMethod() {
  return WriteGateMethod("dms", "each head drops the tokens that a learned bit gives up",
                         "dms_gate.safetensors");
}

}  // namespace kvla

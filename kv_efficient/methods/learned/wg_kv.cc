// SPDX-License-Identifier: Apache-2.0
// WG-KV (arXiv 2512.17452): what is worth writing to the old part of the cache is learned, by an
// MLP on each key.
#include "kv_efficient/methods/learned/write_gated.h"

namespace kvla {

CacheMethod WgKvMethod() {
  return WriteGateMethod("wg_kv", "each head keeps the tokens that a learned write gate admits",
                         "write_gate.safetensors");
}

}  // namespace kvla

// SPDX-License-Identifier: Apache-2.0
// CBOR that came from outside.
#ifndef KVLA_RESULTS_TRACE_CBOR_H_
#define KVLA_RESULTS_TRACE_CBOR_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <span>

namespace kvla {

// Discarded where the bytes are not CBOR, or are nested deeper than any record of ours (strings in
// parts, which ours never are, included): the library
// reads nested values by recursion, and would run out of stack.
nlohmann::json ParseCbor(std::span<const uint8_t> bytes);

}  // namespace kvla

#endif  // KVLA_RESULTS_TRACE_CBOR_H_

// SPDX-License-Identifier: Apache-2.0
// Numbers as people type them, in one notation: decimal, whatever zeros stand in front.
#ifndef KVLA_BASE_NUMBERS_H_
#define KVLA_BASE_NUMBERS_H_

#include <cstdint>
#include <string_view>

#include "base/status.h"

namespace kvla {

// "10", "010", "+10" and "-10" are decimal. BadInput for everything else (blanks, 0x10, 1e2, 1.0)
// and for what does not fit.
Result<int64_t> ParseInteger(std::string_view text);
Result<uint64_t> ParseUnsigned(std::string_view text);  // no minus either

// Also "0.5", ".5", "1e-3". BadInput for everything else (hexadecimal, inf, nan, fractions).
Result<double> ParseNumber(std::string_view text);

}  // namespace kvla

#endif  // KVLA_BASE_NUMBERS_H_

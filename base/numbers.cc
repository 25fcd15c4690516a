// SPDX-License-Identifier: Apache-2.0
#include "base/numbers.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <string>

#include "base/text.h"

namespace kvla {
namespace {

Status NotA(const char* what, std::string_view text) {
  return BadInput(fmt::format("'{}' is not {}", Printable(CutText(text, 60)), what));
}

template <class T>
Result<T> Parse(std::string_view text, const char* what) {
  std::string_view digits = text;
  if (digits.starts_with('+')) digits.remove_prefix(1);
  // from_chars takes "inf" and "nan" for numbers, and a sign behind the one taken away.
  const size_t first = digits.starts_with('-') && digits.size() == text.size() ? 1 : 0;
  const bool begins = first < digits.size() &&
                      (digits[first] == '.' || (digits[first] >= '0' && digits[first] <= '9'));
  T value{};
  const char* end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, value);
  if (!begins || error == std::errc::invalid_argument || stop != end) return NotA(what, text);
  if (error != std::errc()) {
    return BadInput(fmt::format("{} is too large or too small", CutText(text, 60)));
  }
  return value;
}

}  // namespace

Result<int64_t> ParseInteger(std::string_view text) {
  return Parse<int64_t>(text, "a whole number in decimal, as in 10");
}

Result<uint64_t> ParseUnsigned(std::string_view text) {
  return Parse<uint64_t>(text, "a whole number from 0 on in decimal, as in 10");
}

Result<double> ParseNumber(std::string_view text) {
  return Parse<double>(text, "a decimal number, as in 0.5 or 1e-3");
}

}  // namespace kvla

// SPDX-License-Identifier: Apache-2.0
#include "base/columns.h"

#include <algorithm>
#include <cstdint>

#include "base/text.h"

namespace kvla {
namespace {

struct Span {
  uint32_t first, last;
};

// The common ranges of Unicode's East Asian Width W and F, and of its combining marks.
constexpr Span kWide[] = {{0x1100, 0x115f},   {0x2e80, 0x303e},   {0x3041, 0xa4cf},
                          {0xac00, 0xd7a3},   {0xf900, 0xfaff},   {0xfe30, 0xfe6f},
                          {0xff00, 0xff60},   {0xffe0, 0xffe6},   {0x1f300, 0x1f64f},
                          {0x1f680, 0x1f6ff}, {0x1f900, 0x1f9ff}, {0x20000, 0x3fffd}};
constexpr Span kCombining[] = {
    {0x0300, 0x036f}, {0x1ab0, 0x1aff}, {0x200b, 0x200f}, {0x20d0, 0x20ff}, {0xfe00, 0xfe0f}};

bool In(uint32_t character, const auto& spans) {
  return std::ranges::any_of(
      spans, [=](const Span& s) { return character >= s.first && character <= s.last; });
}

// Bytes of the first character; 1 for one that is no UTF-8. REQUIRES: text is not empty.
size_t FirstLength(std::string_view text) {
  for (size_t n = 1; n <= std::min<size_t>(4, text.size()); ++n) {
    if (IsUtf8(text.substr(0, n))) return n;
  }
  return 1;
}

int ColumnsOf(std::string_view character) {
  if (character.size() == 1) return 1;
  uint32_t code = static_cast<unsigned char>(character[0]) & (0xffU >> (character.size() + 1));
  for (const char byte : character.substr(1)) code = code << 6 | (byte & 0x3fU);
  if (In(code, kCombining)) return 0;
  return In(code, kWide) ? 2 : 1;
}

}  // namespace

int DisplayColumns(std::string_view text) {
  int columns = 0;
  while (!text.empty()) {
    const size_t length = FirstLength(text);
    columns += ColumnsOf(text.substr(0, length));
    text.remove_prefix(length);
  }
  return columns;
}

std::string CutToColumns(std::string_view text, int columns) {
  size_t end = 0;
  while (end < text.size()) {
    const size_t length = FirstLength(text.substr(end));
    columns -= ColumnsOf(text.substr(end, length));
    if (columns < 0) break;
    end += length;
  }
  return std::string(text.substr(0, end));
}

}  // namespace kvla

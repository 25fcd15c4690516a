// SPDX-License-Identifier: Apache-2.0
#include "policy/language/pieces.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace kvla {
namespace {

enum class Kind { kLetter, kDigit, kBlank, kOther };

// Unicode's White_Space.
bool IsBlank(int32_t c) {
  return (c >= 0x9 && c <= 0xd) || c == 0x20 || c == 0x85 || c == 0xa0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f ||
         c == 0x3000;
}

Kind KindOf(int32_t c) {
  if (IsBlank(c)) return Kind::kBlank;
  switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
      return Kind::kLetter;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
      return Kind::kDigit;
    default:
      return Kind::kOther;
  }
}

struct Character {
  size_t begin = 0, end = 0;
  Kind kind = Kind::kOther;
};

std::vector<Character> CharactersOf(std::string_view text) {
  std::vector<Character> all;
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  for (size_t at = 0; at < text.size();) {
    utf8proc_int32_t c = -1;
    const auto left = static_cast<utf8proc_ssize_t>(text.size() - at);
    const utf8proc_ssize_t size = utf8proc_iterate(bytes + at, left, &c);
    const size_t end = at + static_cast<size_t>(std::max<utf8proc_ssize_t>(size, 1));
    all.push_back({at, end, size > 0 ? KindOf(c) : Kind::kOther});
    at = end;
  }
  return all;
}

// Characters of a contraction that begins here; 0: none does.
size_t Contraction(std::string_view rest) {
  constexpr std::array<std::string_view, 7> kEndings = {"'s", "'t",  "'re", "'ve",
                                                        "'m", "'ll", "'d"};
  for (const std::string_view ending : kEndings) {
    if (rest.starts_with(ending)) return ending.size();
  }
  return 0;
}

}  // namespace

std::vector<std::string_view> SplitDigits(std::string_view text) {
  std::vector<std::string_view> pieces;
  size_t begin = 0;
  for (const Character& c : CharactersOf(text)) {
    if (c.kind != Kind::kDigit) continue;
    if (c.begin > begin) pieces.push_back(text.substr(begin, c.begin - begin));
    pieces.push_back(text.substr(c.begin, c.end - c.begin));
    begin = c.end;
  }
  if (begin < text.size()) pieces.push_back(text.substr(begin));
  return pieces;
}

std::vector<std::string_view> SplitWords(std::string_view text) {
  const std::vector<Character> all = CharactersOf(text);
  const auto run = [&](size_t from, Kind kind) {
    while (from < all.size() && all[from].kind == kind) ++from;
    return from;
  };
  std::vector<std::string_view> pieces;
  for (size_t i = 0; i < all.size();) {
    size_t end = i + Contraction(text.substr(all[i].begin));
    if (end == i) {
      const bool space = text[all[i].begin] == ' ' && i + 1 < all.size();
      const size_t first = space && all[i + 1].kind != Kind::kBlank ? i + 1 : i;
      if (all[first].kind != Kind::kBlank) {
        end = run(first, all[first].kind);
      } else {
        // All blanks, but for the last one where something follows that may take it along.
        end = run(i, Kind::kBlank);
        if (end < all.size() && end > i + 1) --end;
      }
    }
    const size_t begin = all[i].begin;
    pieces.push_back(text.substr(begin, all[end - 1].end - begin));
    i = end;
  }
  return pieces;
}

}  // namespace kvla

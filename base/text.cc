// SPDX-License-Identifier: Apache-2.0
#include "base/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

namespace kvla {
namespace {

// Bytes of the well-formed character that the text begins with; 0: it begins with none.
size_t CharacterLength(std::string_view text) {
  const auto at = [&](size_t k) { return static_cast<unsigned char>(text[k]); };
  const unsigned char lead = at(0);
  size_t length = 1;
  if (lead >= 0xc2 && lead <= 0xdf) {
    length = 2;
  } else if (lead >= 0xe0 && lead <= 0xef) {
    length = 3;
  } else if (lead >= 0xf0 && lead <= 0xf4) {
    length = 4;
  } else if (lead >= 0x80) {
    return 0;
  }
  if (length > text.size()) return 0;
  for (size_t k = 1; k < length; ++k) {
    if ((at(k) & 0xc0) != 0x80) return 0;
  }
  const unsigned char second = length > 1 ? at(1) : 0;
  if ((lead == 0xe0 && second < 0xa0) || (lead == 0xed && second > 0x9f) ||
      (lead == 0xf0 && second < 0x90) || (lead == 0xf4 && second > 0x8f)) {
    return 0;
  }
  return length;
}

// Of one well-formed character.
uint32_t CodePoint(std::string_view character) {
  const auto lead = static_cast<unsigned char>(character[0]);
  uint32_t point = character.size() == 1 ? lead : lead & (0x7fu >> character.size());
  for (const char c : character.substr(1)) point = point << 6 | (static_cast<unsigned>(c) & 0x3f);
  return point;
}

// What a terminal obeys instead of showing it.
bool IsControl(std::string_view character) {
  const uint32_t point = CodePoint(character);
  const bool turns = (point >= 0x202a && point <= 0x202e) || (point >= 0x2066 && point <= 0x2069) ||
                     point == 0x200e || point == 0x200f;
  return point < 0x20 || (point >= 0x7f && point < 0xa0) || turns || point == 0x2028 ||
         point == 0x2029;
}

}  // namespace

int EditDistance(std::string_view a, std::string_view b) {
  // Rows of the optimal string alignment table: two rows back, one back, this one.
  std::vector<int> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) last[j] = static_cast<int>(j);
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = static_cast<int>(i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const int replace = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, replace});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before[j - 2] + 1);
      }
    }
    std::swap(before, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

std::string NearestName(std::string_view name, const std::vector<std::string>& candidates) {
  const auto distance = [&](const std::string& c) {
    // A name typed in part ("window" for "window_blocks") is nearer than its edits suggest.
    const bool part = !name.empty() && (c.starts_with(name) || name.starts_with(c));
    return part ? 1 : EditDistance(name.substr(0, 200), c);
  };
  const auto best = std::min_element(
      candidates.begin(), candidates.end(),
      [&](const std::string& x, const std::string& y) { return distance(x) < distance(y); });
  return best == candidates.end() ? std::string() : *best;
}

std::string DidYouMean(std::string_view name, const std::vector<std::string>& candidates) {
  const std::string nearest = NearestName(name, candidates);
  return nearest.empty() ? std::string() : "; did you mean '" + nearest + "'?";
}

bool IsUtf8(std::string_view bytes) {
  while (!bytes.empty()) {
    const size_t length = CharacterLength(bytes);
    if (length == 0) return false;
    bytes.remove_prefix(length);
  }
  return true;
}

std::string Printable(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const size_t length = CharacterLength(text);
    const std::string_view character = text.substr(0, std::max<size_t>(length, 1));
    text.remove_prefix(character.size());
    if (length == 0) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(character[0]));
    } else if (character != "\n" && IsControl(character)) {
      const uint32_t point = CodePoint(character);
      out += point < 0x100 ? fmt::format("\\x{:02x}", point) : fmt::format("\\u{:04x}", point);
    } else {
      out += character;
    }
  }
  return out;
}

std::string PrintableLine(std::string_view text) {
  std::string out;
  for (const char c : Printable(text)) {
    if (c == '\n') {
      out += "\\n";
    } else {
      out += c;
    }
  }
  return out;
}

std::string_view CutText(std::string_view text, size_t bytes) {
  if (text.size() <= bytes) return text;
  // A character's later bytes are 10xxxxxx; a text that is nothing else is cut where it was asked.
  size_t end = bytes;
  while (end > 0 && bytes - end < 4 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) {
    --end;
  }
  return text.substr(0, bytes - end < 4 ? end : bytes);
}

std::string Join(const std::vector<std::string>& parts, std::string_view separator) {
  std::string out;
  for (const std::string& part : parts) {
    if (!out.empty()) out += separator;
    out += part;
  }
  return out;
}

std::string WithListed(const std::string& list, const std::string& value) {
  if (list.empty() || value.empty()) return list + value;
  constexpr std::string_view kBetween = " | ";
  for (size_t begin = 0; begin <= list.size();) {
    const size_t end = std::min(list.find(kBetween, begin), list.size());
    if (list.compare(begin, end - begin, value) == 0) return list;
    begin = end + kBetween.size();
  }
  return list + std::string(kBetween) + value;
}

}  // namespace kvla

// SPDX-License-Identifier: Apache-2.0
#include "policy/compact/text/wordpiece.h"

#include <fmt/format.h>
#include <utf8proc.h>

#include <algorithm>

#include "base/files.h"

namespace kvla {
namespace {

constexpr int kLongestWord = 100;  // characters; a longer one is unknown
constexpr char kContinued[] = "##";
constexpr utf8proc_int32_t kReplacement = 0xFFFD;

using Codepoints = std::vector<utf8proc_int32_t>;

// Unicode's property White_Space, but for what is a control character there.
bool IsSpace(utf8proc_int32_t c) {
  if (c == '\t' || c == '\n' || c == '\r') return true;
  const auto category = utf8proc_category(c);
  return category == UTF8PROC_CATEGORY_ZS || category == UTF8PROC_CATEGORY_ZL ||
         category == UTF8PROC_CATEGORY_ZP;
}

bool IsControl(utf8proc_int32_t c) {
  const auto category = utf8proc_category(c);
  return category == UTF8PROC_CATEGORY_CC || category == UTF8PROC_CATEGORY_CF ||
         category == UTF8PROC_CATEGORY_CO || category == UTF8PROC_CATEGORY_CS;
}

// All of ASCII's marks count, those that Unicode calls symbols too.
bool IsPunctuation(utf8proc_int32_t c) {
  if ((c >= 33 && c <= 47) || (c >= 58 && c <= 64) || (c >= 91 && c <= 96) ||
      (c >= 123 && c <= 126)) {
    return true;
  }
  const auto category = utf8proc_category(c);
  return category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO;
}

// The blocks of ideographs; not kana or Hangul, which are written in words.
bool IsIdeograph(utf8proc_int32_t c) {
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) ||
         (c >= 0x20000 && c <= 0x2A6DF) || (c >= 0x2A700 && c <= 0x2B73F) ||
         (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
         (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

// Without control characters, ideographs between spaces.
Codepoints Clean(std::string_view text) {
  Codepoints out;
  const auto* at = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  auto left = static_cast<utf8proc_ssize_t>(text.size());
  while (left > 0) {
    utf8proc_int32_t c = 0;
    const utf8proc_ssize_t read = utf8proc_iterate(at, left, &c);
    const utf8proc_ssize_t used = read > 0 ? read : 1;
    at += used;
    left -= used;
    if (read <= 0 || c == kReplacement) continue;
    if (IsSpace(c)) {
      out.push_back(' ');
    } else if (IsIdeograph(c)) {
      out.insert(out.end(), {' ', c, ' '});
    } else if (!IsControl(c)) {
      out.push_back(c);
    }
  }
  return out;
}

// Canonical decomposition without the marks it sets free, in lower case.
Codepoints Normalize(const Codepoints& text) {
  constexpr int kLongestDecomposition = 32;
  Codepoints parts, out;
  for (const utf8proc_int32_t c : text) {
    utf8proc_int32_t buffer[kLongestDecomposition];
    int boundary = 0;
    const utf8proc_ssize_t n =
        utf8proc_decompose_char(c, buffer, kLongestDecomposition, UTF8PROC_DECOMPOSE, &boundary);
    if (n < 0 || n > kLongestDecomposition) continue;
    for (utf8proc_ssize_t i = 0; i < n; ++i) {
      if (utf8proc_category(buffer[i]) == UTF8PROC_CATEGORY_MN) continue;
      out.push_back(utf8proc_tolower(buffer[i]));
    }
  }
  return out;
}

void AppendUtf8(utf8proc_int32_t c, std::string* out) {
  utf8proc_uint8_t bytes[4];
  const utf8proc_ssize_t n = utf8proc_encode_char(c, bytes);
  out->append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(std::max<ptrdiff_t>(n, 0)));
}

bool StartsCharacter(char byte) { return (static_cast<unsigned char>(byte) & 0xC0U) != 0x80U; }

}  // namespace

Result<WordPiece> WordPiece::Load(const std::filesystem::path& vocabulary) {
  Result<std::string> text = ReadFile(vocabulary);
  if (!text.ok()) return text.status();
  WordPiece tokenizer;
  int64_t id = 0;
  std::string_view left = *text;
  while (!left.empty()) {
    const size_t end = std::min(left.find('\n'), left.size());
    std::string_view piece = left.substr(0, end);
    if (piece.ends_with('\r')) piece.remove_suffix(1);
    tokenizer.ids_.emplace(piece, id++);
    left.remove_prefix(std::min(end + 1, left.size()));
  }
  for (const auto& [name, slot] : {std::pair{"[UNK]", &tokenizer.unknown_},
                                   {"[CLS]", &tokenizer.begin_},
                                   {"[SEP]", &tokenizer.end_}}) {
    const auto found = tokenizer.ids_.find(name);
    if (found == tokenizer.ids_.end()) {
      return BadInput(
          fmt::format("{}: no piece {}: not a BERT vocabulary", vocabulary.string(), name));
    }
    *slot = found->second;
  }
  return tokenizer;
}

std::vector<std::string> WordPiece::BasicTokens(std::string_view text) {
  std::vector<std::string> tokens(1);
  const auto cut = [&tokens] {
    if (!tokens.back().empty()) tokens.emplace_back();
  };
  for (const utf8proc_int32_t c : Normalize(Clean(text))) {
    if (IsSpace(c)) {
      cut();
    } else if (IsPunctuation(c)) {
      cut();
      AppendUtf8(c, &tokens.back());
      cut();
    } else {
      AppendUtf8(c, &tokens.back());
    }
  }
  if (tokens.back().empty()) tokens.pop_back();
  return tokens;
}

void WordPiece::AppendPieces(const std::string& word, std::vector<int64_t>* ids) const {
  const size_t before = ids->size();
  if (std::count_if(word.begin(), word.end(), StartsCharacter) > kLongestWord) {
    ids->push_back(unknown_);
    return;
  }
  for (size_t begin = 0; begin < word.size();) {
    size_t end = word.size();
    auto found = ids_.end();
    for (; end > begin; --end) {
      if (end < word.size() && !StartsCharacter(word[end])) continue;
      std::string piece = begin == 0 ? "" : kContinued;
      piece.append(word, begin, end - begin);
      found = ids_.find(piece);
      if (found != ids_.end()) break;
    }
    if (found == ids_.end()) {
      ids->resize(before);
      ids->push_back(unknown_);
      return;
    }
    ids->push_back(found->second);
    begin = end;
  }
}

std::vector<int64_t> WordPiece::Encode(std::string_view text, int max_tokens) const {
  std::vector<int64_t> ids = {begin_};
  for (const std::string& word : BasicTokens(text)) AppendPieces(word, &ids);
  const auto most = static_cast<size_t>(std::max(max_tokens, 2)) - 1;
  if (ids.size() > most) ids.resize(most);
  ids.push_back(end_);
  return ids;
}

}  // namespace kvla

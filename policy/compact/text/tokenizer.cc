// SPDX-License-Identifier: Apache-2.0
#include "policy/compact/text/tokenizer.h"

#include <cctype>

namespace kvla {

Tokenizer::Tokenizer(const std::vector<std::string>& vocabulary) {
  for (const std::string& word : vocabulary) {
    ids_.emplace(word, static_cast<int64_t>(ids_.size()) + 2);
  }
}

std::vector<std::string> Tokenizer::Words(std::string_view text) {
  std::vector<std::string> words(1);
  for (const char raw : text) {
    const auto c = static_cast<unsigned char>(raw);
    if (std::isalnum(c) != 0) {
      words.back().push_back(static_cast<char>(std::tolower(c)));
    } else if (!words.back().empty()) {
      words.emplace_back();
    }
  }
  if (words.back().empty()) words.pop_back();
  return words;
}

std::vector<int64_t> Tokenizer::Encode(std::string_view text, int max_tokens) const {
  std::vector<int64_t> ids = {kBos};
  for (const std::string& word : Words(text)) {
    if (static_cast<int>(ids.size()) == max_tokens) break;
    const auto it = ids_.find(word);
    ids.push_back(it == ids_.end() ? kUnknown : it->second);
  }
  return ids;
}

}  // namespace kvla

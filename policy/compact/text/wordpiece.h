// SPDX-License-Identifier: Apache-2.0
// BERT's uncased WordPiece tokenizer.
#ifndef KVLA_POLICY_COMPACT_TEXT_WORDPIECE_H_
#define KVLA_POLICY_COMPACT_TEXT_WORDPIECE_H_

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace kvla {

class WordPiece {
 public:
  // `vocabulary`: vocab.txt, one piece a line, the line's number is its id. BadInput when it cannot
  // be read or lacks [UNK], [CLS] or [SEP].
  static Result<WordPiece> Load(const std::filesystem::path& vocabulary);

  // [CLS], the pieces, [SEP]: at most `max_tokens` (2 or more), the pieces cut off at the end. Any
  // bytes will do; those that are no UTF-8 are left out. Special tokens in the text are plain text.
  std::vector<int64_t> Encode(std::string_view text, int max_tokens) const;
  int size() const { return static_cast<int>(ids_.size()); }

  // What the pieces are cut from: lower case, accents stripped, control characters left out, split
  // at white space, around every punctuation mark and around every CJK ideograph.
  static std::vector<std::string> BasicTokens(std::string_view text);

 private:
  // The longest known pieces from left to right, or [UNK] for the word.
  void AppendPieces(const std::string& word, std::vector<int64_t>* ids) const;

  std::map<std::string, int64_t, std::less<>> ids_;
  int64_t unknown_ = 0, begin_ = 0, end_ = 0;
};

}  // namespace kvla

#endif  // KVLA_POLICY_COMPACT_TEXT_WORDPIECE_H_

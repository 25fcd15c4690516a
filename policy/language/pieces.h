// SPDX-License-Identifier: Apache-2.0
// Where a byte-pair tokenizer may not merge: a text cut into pieces. No torch.
#ifndef KVLA_POLICY_LANGUAGE_PIECES_H_
#define KVLA_POLICY_LANGUAGE_PIECES_H_

#include <string_view>
#include <vector>

namespace kvla {

// Each digit (a character of Unicode's class N) alone, the rest in between. Views into `text`.
std::vector<std::string_view> SplitDigits(std::string_view text);

// GPT-2's pattern: 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
// Views into `text`, which they cover. Bytes that are no UTF-8 are neither letters, digits nor
// blanks.
std::vector<std::string_view> SplitWords(std::string_view text);

}  // namespace kvla

#endif  // KVLA_POLICY_LANGUAGE_PIECES_H_

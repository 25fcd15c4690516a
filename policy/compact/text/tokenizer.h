// SPDX-License-Identifier: Apache-2.0
// Words to ids over the vocabulary that a checkpoint carries.
#ifndef KVLA_POLICY_COMPACT_TEXT_TOKENIZER_H_
#define KVLA_POLICY_COMPACT_TEXT_TOKENIZER_H_

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace kvla {

class Tokenizer {
 public:
  static constexpr int kBos = 0;
  static constexpr int kUnknown = 1;

  explicit Tokenizer(const std::vector<std::string>& vocabulary);

  // BOS, then one id a word; at most `max_tokens`. Case and punctuation do not matter.
  std::vector<int64_t> Encode(std::string_view text, int max_tokens) const;
  int size() const { return static_cast<int>(ids_.size()) + 2; }

  // Lower-case words of a text, in order.
  static std::vector<std::string> Words(std::string_view text);

 private:
  std::map<std::string, int64_t, std::less<>> ids_;
};

}  // namespace kvla

#endif  // KVLA_POLICY_COMPACT_TEXT_TOKENIZER_H_

// SPDX-License-Identifier: Apache-2.0
// GPT-2's characters for the bytes, in the order in which its vocabularies begin.
#ifndef KVLA_TESTS_POLICY_LANGUAGE_BYTE_TOKENS_H_
#define KVLA_TESTS_POLICY_LANGUAGE_BYTE_TOKENS_H_

#include <string>
#include <vector>

namespace kvla {

// Printable ones are themselves.
inline std::vector<std::string> ByteTokens() {
  std::vector<std::string> tokens;
  const auto put = [&](int c) {
    if (c < 128) {
      tokens.emplace_back(1, static_cast<char>(c));
    } else {
      tokens.push_back({static_cast<char>(0xc0 | c >> 6), static_cast<char>(0x80 | (c & 63))});
    }
  };
  for (int b = 33; b < 127; ++b) put(b);
  for (int b = 161; b < 173; ++b) put(b);
  for (int b = 174; b < 256; ++b) put(b);
  for (int i = 0; i < 68; ++i) put(256 + i);
  return tokens;
}

}  // namespace kvla

#endif  // KVLA_TESTS_POLICY_LANGUAGE_BYTE_TOKENS_H_

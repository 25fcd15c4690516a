// SPDX-License-Identifier: Apache-2.0
// Byte-pair tokenizers as language models publish them. No torch.
#ifndef KVLA_POLICY_LANGUAGE_BYTE_PAIR_H_
#define KVLA_POLICY_LANGUAGE_BYTE_PAIR_H_

#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/status.h"

namespace kvla {

// What happens to a text before pairs are merged.
struct PairRules {
  bool digits = false;     // each digit is a piece of its own
  bool words = false;      // GPT-2's pieces
  bool byte_level = true;  // bytes are written as GPT-2's printable characters
  // Llama 2: blanks are written U+2581, one more in front; unknown characters become bytes <0x0A>.
  bool blank_marks = false;
  bool operator==(const PairRules&) const = default;
};

// Immutable, so any number of threads may read it.
class BytePair {
 public:
  // Of `tokenizer.json` (Hugging Face's tokenizers): byte-level BPE, as SmolLM2 has it, or BPE with
  // byte fallback, as Llama 2. BadInput names what it holds that is not one of these.
  static Result<BytePair> Load(const std::filesystem::path& tokenizer_json);
  static Result<BytePair> FromJson(const nlohmann::json& tokenizer);
  // Of a GGUF file's metadata: tokenizer.ggml.{model,pre,tokens,merges}.
  static Result<BytePair> FromGguf(const nlohmann::json& metadata);

  // Tokens of the text alone: nothing is put in front. Any bytes will do; one that no token stands
  // for is left out, as tokenizers does (of SmolLM2's, control characters).
  std::vector<int64_t> Encode(std::string_view text) const;
  // The bytes that they stand for. REQUIRES: ids of this vocabulary.
  std::string Decode(std::span<const int64_t> ids) const;
  int size() const { return static_cast<int>(tokens_.size()); }
  const PairRules& rules() const { return rules_; }

 private:
  struct Merge {
    int32_t rank = 0, made = 0;
  };
  static Result<BytePair> Create(std::vector<std::string> tokens,
                                 const std::vector<std::pair<std::string, std::string>>& merges,
                                 std::vector<std::string> whole, PairRules rules);
  // Single characters, or what stands for them, before any merge.
  std::vector<int32_t> Characters(std::string_view piece) const;
  void AppendPiece(std::string_view piece, std::vector<int64_t>* ids) const;
  void AppendText(std::string_view text, std::vector<int64_t>* ids) const;

  PairRules rules_;
  std::vector<std::string> tokens_;
  std::unordered_map<std::string, int32_t> ids_;
  std::unordered_map<uint64_t, Merge> merges_;  // by both ids
  std::vector<std::string> whole_;              // found in a text before all else; longest first
  int32_t unknown_ = -1;
};

}  // namespace kvla

#endif  // KVLA_POLICY_LANGUAGE_BYTE_PAIR_H_

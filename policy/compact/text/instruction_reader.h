// SPDX-License-Identifier: Apache-2.0
// Instructions as a policy's net reads them. Includes torch.
#ifndef KVLA_POLICY_COMPACT_TEXT_INSTRUCTION_READER_H_
#define KVLA_POLICY_COMPACT_TEXT_INSTRUCTION_READER_H_

#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "base/status.h"
#include "policy/compact/policy_config.h"
#include "policy/compact/text/text_encoder.h"
#include "policy/compact/text/tokenizer.h"
#include "tensors/torch.h"

namespace kvla {

class InstructionReader {
 public:
  // `text_encoder`: folder of the sentence encoder; looked at only for a policy that reads with it.
  static Result<InstructionReader> Create(const PolicyConfig& config,
                                          const std::filesystem::path& text_encoder);

  // text: words   -> [n] int64, the ids of BOS and the words
  // text: minilm  -> [384] float32, the sentence's embedding
  // Each instruction is encoded once and kept.
  Result<torch::Tensor> Read(const std::string& instruction);
  // Gives the encoder's memory (90 MB) back; the next new sentence loads it again.
  void Release() { encoder_.reset(); }

 private:
  InstructionReader(const PolicyConfig& config, std::filesystem::path text_encoder);

  Tokenizer tokenizer_;
  int max_tokens_;
  bool sentences_;
  std::filesystem::path folder_;
  std::optional<TextEncoder> encoder_;
  std::map<std::string, torch::Tensor> read_;
};

}  // namespace kvla

#endif  // KVLA_POLICY_COMPACT_TEXT_INSTRUCTION_READER_H_

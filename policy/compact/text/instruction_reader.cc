// SPDX-License-Identifier: Apache-2.0
#include "policy/compact/text/instruction_reader.h"

#include <utility>

namespace kvla {

InstructionReader::InstructionReader(const PolicyConfig& config, std::filesystem::path text_encoder)
    : tokenizer_(config.vocabulary),
      max_tokens_(config.max_instruction_tokens),
      sentences_(config.reads_sentences()),
      folder_(std::move(text_encoder)) {}

Result<InstructionReader> InstructionReader::Create(const PolicyConfig& config,
                                                    const std::filesystem::path& text_encoder) {
  if (config.reads_sentences()) {
    if (Status s = CheckTextEncoderFiles(text_encoder); !s.ok()) {
      return s.In("the policy reads with text: minilm");
    }
  }
  return InstructionReader(config, text_encoder);
}

Result<torch::Tensor> InstructionReader::Read(const std::string& instruction) {
  const auto found = read_.find(instruction);
  if (found != read_.end()) return found->second;
  if (sentences_ && !encoder_) {
    Result<TextEncoder> encoder = TextEncoder::Load(folder_);
    if (!encoder.ok()) return encoder.status();
    encoder_ = *std::move(encoder);
  }
  const torch::Tensor read =
      sentences_ ? encoder_->Embed(instruction)
                 : torch::tensor(tokenizer_.Encode(instruction, max_tokens_), torch::kInt64);
  return read_.emplace(instruction, read).first->second;
}

}  // namespace kvla

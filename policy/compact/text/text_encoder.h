// SPDX-License-Identifier: Apache-2.0
// all-MiniLM-L6-v2: a pretrained BERT that turns a sentence into one vector. Includes torch.
#ifndef KVLA_POLICY_COMPACT_TEXT_TEXT_ENCODER_H_
#define KVLA_POLICY_COMPACT_TEXT_TEXT_ENCODER_H_

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "policy/compact/text/text_encoder_files.h"
#include "policy/compact/text/wordpiece.h"
#include "tensors/torch.h"

namespace kvla {

// Frozen. Not thread-safe.
class TextEncoder {
 public:
  static constexpr int kSize = kTextEmbeddingSize;
  static constexpr int kMaxTokens = 256;  // as the published sentence encoder; the rest is cut off

  // `folder` holds vocab.txt and model.safetensors, whose content is checked. BadInput says what to
  // do where they are missing or others.
  static Result<TextEncoder> Load(const std::filesystem::path& folder);

  // [384], float32, of length 1: the mean of the last hidden states over all tokens.
  torch::Tensor Embed(std::string_view text) const;
  const WordPiece& tokenizer() const { return tokenizer_; }

 private:
  struct Map {  // y = W x + b, or a layer norm's scale and shift
    torch::Tensor weight, bias;
  };
  struct Layer {
    Map query, key, value, attended, attended_norm, up, down, norm;
  };
  TextEncoder() = default;
  torch::Tensor Hidden(const torch::Tensor& ids) const;  // [n] -> [n, 384]

  WordPiece tokenizer_;
  torch::Tensor words_, positions_, types_;
  Map embedding_norm_;
  std::vector<Layer> layers_;
};

}  // namespace kvla

#endif  // KVLA_POLICY_COMPACT_TEXT_TEXT_ENCODER_H_

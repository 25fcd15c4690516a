// SPDX-License-Identifier: Apache-2.0
// A GGUF of a Llama with two layers, random weights and a tokenizer of single bytes.
#ifndef KVLA_TESTS_POLICY_LANGUAGE_TINY_LLAMA_H_
#define KVLA_TESTS_POLICY_LANGUAGE_TINY_LLAMA_H_

#include <map>
#include <string>
#include <vector>

#include "tests/policy/language/byte_tokens.h"
#include "tests/tensors/small_gguf.h"

namespace kvla {

inline constexpr int kTinyLayers = 2, kTinyHeads = 4, kTinyKvHeads = 2, kTinyWidth = 32,
                     kTinyMlp = 48;

// By their names in the file, queries and keys in pairs as llama.cpp has them.
inline std::map<std::string, at::Tensor> TinyLlamaTensors() {
  torch::manual_seed(4);
  constexpr int kHead = kTinyWidth / kTinyHeads;
  const auto matrix = [](int64_t out, int64_t in) { return torch::randn({out, in}) * 0.3; };
  const auto norm = [] { return torch::rand({kTinyWidth}) + 0.5; };
  std::map<std::string, at::Tensor> tensors = {
      {"token_embd.weight", matrix(static_cast<int64_t>(ByteTokens().size()), kTinyWidth)},
      {"output_norm.weight", norm()}};
  for (int layer = 0; layer < kTinyLayers; ++layer) {
    const std::string at = "blk." + std::to_string(layer) + ".";
    tensors[at + "attn_norm.weight"] = norm();
    tensors[at + "ffn_norm.weight"] = norm();
    tensors[at + "attn_q.weight"] = matrix(kTinyWidth, kTinyWidth);
    tensors[at + "attn_k.weight"] = matrix(kTinyKvHeads * kHead, kTinyWidth);
    tensors[at + "attn_v.weight"] = matrix(kTinyKvHeads * kHead, kTinyWidth);
    tensors[at + "attn_output.weight"] = matrix(kTinyWidth, kTinyWidth);
    tensors[at + "ffn_gate.weight"] = matrix(kTinyMlp, kTinyWidth);
    tensors[at + "ffn_up.weight"] = matrix(kTinyMlp, kTinyWidth);
    tensors[at + "ffn_down.weight"] = matrix(kTinyWidth, kTinyMlp);
  }
  return tensors;
}

inline std::string TinyLlama(const std::map<std::string, at::Tensor>& tensors) {
  SmallGguf file;
  file.Text("general.architecture", "llama");
  file.Number("llama.block_count", kTinyLayers);
  file.Number("llama.embedding_length", kTinyWidth);
  file.Number("llama.feed_forward_length", kTinyMlp);
  file.Number("llama.attention.head_count", kTinyHeads);
  file.Number("llama.attention.head_count_kv", kTinyKvHeads);
  file.Number("llama.context_length", 256);
  file.Real("llama.attention.layer_norm_rms_epsilon", 1e-5F);
  file.Real("llama.rope.freq_base", 1000);
  file.Text("tokenizer.ggml.model", "gpt2");
  file.Text("tokenizer.ggml.pre", "smollm");
  file.List("tokenizer.ggml.tokens", ByteTokens());
  file.List("tokenizer.ggml.merges", {});
  for (const auto& [name, tensor] : tensors) file.F32(name, tensor);
  return file.Bytes();
}

}  // namespace kvla

#endif  // KVLA_TESTS_POLICY_LANGUAGE_TINY_LLAMA_H_

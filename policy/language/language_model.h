// SPDX-License-Identifier: Apache-2.0
// A published language model on the project's decoder and cache: a token is a block of its own.
// Includes torch.
#ifndef KVLA_POLICY_LANGUAGE_LANGUAGE_MODEL_H_
#define KVLA_POLICY_LANGUAGE_LANGUAGE_MODEL_H_

#include <cstdint>
#include <filesystem>
#include <memory>

#include "base/status.h"
#include "kv_efficient/cache_geometry.h"
#include "kv_efficient/kv_cache.h"
#include "policy/compact/net/decoder.h"
#include "policy/language/byte_pair.h"
#include "tensors/gguf.h"

namespace kvla {

struct LanguageModelConfig {
  DecoderSizes sizes{};
  double rope_theta = 10000;
  int context = 0;           // tokens that it was trained for
  bool tied_output = false;  // its embeddings are its output map
};

// Not thread-safe; one model serves any number of caches, one after the other.
class LanguageModel {
 public:
  // A Llama in a GGUF file, its tokenizer among the metadata. BadInput names what is missing, is
  // there too much, or has another shape.
  static Result<std::unique_ptr<LanguageModel>> LoadGguf(const std::filesystem::path& path);
  static Result<std::unique_ptr<LanguageModel>> FromGguf(const GgufFile& file);

  const LanguageModelConfig& config() const { return config_; }
  const BytePair& tokenizer() const { return tokenizer_; }
  // Of a cache for so many tokens, each at its true distance from the others.
  CacheGeometry Geometry(int max_tokens) const;

  // The next token of the text that `cache` (of Geometry()) holds -> logits [vocabulary] of the one
  // after it, f32. REQUIRES: an id of the vocabulary.
  Result<at::Tensor> Step(KvCache& cache, int64_t id);

 private:
  LanguageModel(LanguageModelConfig config, BytePair tokenizer);

  LanguageModelConfig config_;
  BytePair tokenizer_;
  Decoder decoder_{nullptr};
  at::Tensor output_;  // [vocabulary, hidden]
};

}  // namespace kvla

#endif  // KVLA_POLICY_LANGUAGE_LANGUAGE_MODEL_H_

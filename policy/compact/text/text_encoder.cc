// SPDX-License-Identifier: Apache-2.0
#include "policy/compact/text/text_encoder.h"

#include <fmt/format.h>

#include <cmath>
#include <map>

#include "tensors/safetensors.h"

namespace kvla {
namespace {

constexpr int kLayers = 6;
constexpr int kHeads = 12;
constexpr int kInner = 1536;
constexpr double kNormEpsilon = 1e-12;

// Takes tensors out of a file by name; remembers the first that is missing, of another shape or no
// weights.
class Taker {
 public:
  explicit Taker(TensorFile* file) : file_(file) {}

  torch::Tensor Take(const std::string& name, at::IntArrayRef shape) {
    const auto found = file_->tensors.find(name);
    if (found == file_->tensors.end() || found->second.sizes() != shape) {
      if (status_.ok()) {
        status_ =
            BadInput(fmt::format("tensor '{}' is {}", name,
                                 found == file_->tensors.end() ? "missing" : "of another shape"));
      }
      return torch::zeros(shape);
    }
    if (Status s = CheckWeights(name, found->second); status_.ok()) status_ = std::move(s);
    return found->second;
  }
  const Status& status() const { return status_; }

 private:
  TensorFile* file_;
  Status status_;
};

template <class Map>
torch::Tensor Linear(const torch::Tensor& x, const Map& map) {
  return torch::nn::functional::linear(x, map.weight, map.bias);
}

template <class Map>
torch::Tensor Norm(const torch::Tensor& x, const Map& map) {
  return torch::layer_norm(x, {x.size(-1)}, map.weight, map.bias, kNormEpsilon);
}

}  // namespace

Result<TextEncoder> TextEncoder::Load(const std::filesystem::path& folder) {
  if (Status s = CheckTextEncoderFiles(folder); !s.ok()) return s;
  TextEncoder encoder;
  Result<WordPiece> tokenizer = WordPiece::Load(folder / kTextVocabularyFile);
  if (!tokenizer.ok()) return tokenizer.status();
  encoder.tokenizer_ = *std::move(tokenizer);
  Result<TensorFile> file = ReadSafetensors(folder / kTextWeightsFile);
  if (!file.ok()) return file.status();
  Taker taker(&*file);
  const auto norm = [&taker](const std::string& name) {
    return Map{taker.Take(name + ".weight", {kSize}).to(torch::kFloat64),
               taker.Take(name + ".bias", {kSize}).to(torch::kFloat64)};
  };
  const auto map = [&taker](const std::string& name, int in, int out) {
    return Map{taker.Take(name + ".weight", {out, in}).to(torch::kFloat64),
               taker.Take(name + ".bias", {out}).to(torch::kFloat64)};
  };
  encoder.words_ =
      taker.Take("embeddings.word_embeddings.weight", {encoder.tokenizer_.size(), kSize});
  encoder.positions_ = taker.Take("embeddings.position_embeddings.weight", {512, kSize});
  encoder.types_ = taker.Take("embeddings.token_type_embeddings.weight", {2, kSize});
  encoder.embedding_norm_ = norm("embeddings.LayerNorm");
  for (int i = 0; i < kLayers; ++i) {
    const std::string at = fmt::format("encoder.layer.{}.", i);
    Layer layer;
    layer.query = map(at + "attention.self.query", kSize, kSize);
    layer.key = map(at + "attention.self.key", kSize, kSize);
    layer.value = map(at + "attention.self.value", kSize, kSize);
    layer.attended = map(at + "attention.output.dense", kSize, kSize);
    layer.attended_norm = norm(at + "attention.output.LayerNorm");
    layer.up = map(at + "intermediate.dense", kSize, kInner);
    layer.down = map(at + "output.dense", kInner, kSize);
    layer.norm = norm(at + "output.LayerNorm");
    encoder.layers_.push_back(layer);
  }
  if (!taker.status().ok()) return taker.status().In((folder / kTextWeightsFile).string());
  return encoder;
}

torch::Tensor TextEncoder::Hidden(const torch::Tensor& ids) const {
  const int64_t n = ids.size(0);
  torch::Tensor x = words_.index_select(0, ids).to(torch::kFloat64) +
                    types_[0].to(torch::kFloat64) + positions_.narrow(0, 0, n).to(torch::kFloat64);
  x = Norm(x, embedding_norm_);
  const auto heads = [n](const torch::Tensor& t) {
    return t.view({n, kHeads, -1}).transpose(0, 1);
  };
  const double scale = 1.0 / std::sqrt(static_cast<double>(kSize) / kHeads);
  for (const Layer& layer : layers_) {
    const torch::Tensor q = heads(Linear(x, layer.query)), k = heads(Linear(x, layer.key)),
                        v = heads(Linear(x, layer.value));
    const torch::Tensor mass = (torch::matmul(q, k.transpose(1, 2)) * scale).softmax(-1);
    const torch::Tensor attended = torch::matmul(mass, v).transpose(0, 1).reshape({n, kSize});
    x = Norm(x + Linear(attended, layer.attended), layer.attended_norm);
    x = Norm(x + Linear(torch::gelu(Linear(x, layer.up)), layer.down), layer.norm);
  }
  return x;
}

torch::Tensor TextEncoder::Embed(std::string_view text) const {
  const torch::NoGradGuard no_grad;
  const torch::Tensor ids = torch::tensor(tokenizer_.Encode(text, kMaxTokens), torch::kInt64);
  const torch::Tensor mean = Hidden(ids).mean(0);
  return (mean / mean.norm().clamp_min(1e-12)).to(torch::kFloat32);
}

}  // namespace kvla

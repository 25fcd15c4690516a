// SPDX-License-Identifier: Apache-2.0
#include "kv_efficient/methods/learned/chunk_gate.h"

#include <fmt/format.h>

#include <charconv>

#include "kv_efficient/methods/learned/gate_weights.h"
#include "tensors/safetensors.h"
#include "tensors/torch.h"

namespace kvla {
namespace {

constexpr const char* kFormat = "kvla-chunk-gate-1";

}  // namespace

at::Tensor GateFeatures(const at::Tensor& keys, const at::Tensor& values) {
  const auto by_token = [](const at::Tensor& x) {  // [..., L, H, tokens, D] -> [..., tokens, L*H*D]
    return x.movedim(-2, -4).flatten(-3, -1);
  };
  return torch::cat({by_token(keys), by_token(values)}, -1);
}

ChunkGateImpl::ChunkGateImpl(const GateShape& shape) : shape_(shape) {
  const int h = shape.hidden;
  norm_ =
      register_module("norm", torch::nn::LayerNorm(torch::nn::LayerNormOptions({shape.features})));
  if (shape.mlp) {
    token1_ = register_module("token1", torch::nn::Linear(shape.features, h));
    token2_ = register_module("token2", torch::nn::Linear(h, h));
  }
  chunk_ = register_module("chunk", torch::nn::Linear(shape.pooled(), h));
  if (shape.lstm) lstm_ = register_module("lstm", torch::nn::LSTMCell(h, h));
  head_ = register_module("head", torch::nn::Linear(h, 1));
}

at::Tensor ChunkGateImpl::Aggregate(const at::Tensor& features) {
  const at::Tensor normed = norm_->forward(features);
  if (!shape_.mlp) return chunk_->forward(normed.mean(-2));
  const at::Tensor tokens = token2_->forward(torch::gelu(token1_->forward(normed)));
  const at::Tensor pooled = torch::cat({tokens.mean(-2), tokens.amax(-2)}, -1);
  return torch::gelu(chunk_->forward(pooled));
}

at::Tensor ChunkGateImpl::Remember(const at::Tensor& chunk, State* state) {
  if (!shape_.lstm) return chunk;
  if (state->h.defined()) {
    std::tie(state->h, state->c) = lstm_->forward(chunk, std::tuple{state->h, state->c});
  } else {
    std::tie(state->h, state->c) = lstm_->forward(chunk);
  }
  return state->h;
}

at::Tensor ChunkGateImpl::Forward(const at::Tensor& features) {
  if (features.dim() == 3) return Forward(features.unsqueeze(0)).squeeze(0);
  const at::Tensor chunks = Aggregate(features);  // [B, n, hidden]
  State state;
  std::vector<at::Tensor> outputs;
  for (int64_t i = 0; i < chunks.size(1); ++i) {
    outputs.push_back(Remember(chunks.select(1, i), &state));
  }
  if (outputs.empty()) return torch::zeros({features.size(0), 0}, features.options());
  return head_->forward(torch::stack(outputs, 1)).squeeze(-1);
}

at::Tensor ChunkGateImpl::Step(const at::Tensor& features, State* state) {
  return head_->forward(Remember(Aggregate(features), state)).squeeze(-1);
}

double ChunkGateImpl::Flops() const {
  const double h = shape_.hidden;
  const double token = shape_.mlp ? shape_.features * h + h * h : 0;
  const double lstm = shape_.lstm ? 8 * h * h : 0;
  return 2 * (shape_.chunk_tokens * token + shape_.pooled() * h + lstm + h);
}

Status SaveGate(const ChunkGate& gate, const std::filesystem::path& path,
                std::map<std::string, std::string> metadata) {
  TensorFile file;
  for (const auto& item : gate->named_parameters()) {
    file.tensors[item.key()] = item.value().detach();
  }
  file.metadata = std::move(metadata);
  file.metadata["format"] = kFormat;
  file.metadata["features"] = std::to_string(gate->shape().features);
  file.metadata["chunk_tokens"] = std::to_string(gate->shape().chunk_tokens);
  file.metadata["hidden"] = std::to_string(gate->shape().hidden);
  file.metadata["mlp"] = gate->shape().mlp ? "1" : "0";
  file.metadata["lstm"] = gate->shape().lstm ? "1" : "0";
  return WriteSafetensors(path, file);
}

Result<LoadedGate> LoadGate(const std::filesystem::path& path) {
  Result<TensorFile> file = ReadWeights(path);
  if (!file.ok()) return file.status().In("gate");
  const auto bad = [&](const std::string& what) {
    return BadInput(fmt::format("gate '{}': {}", path.string(), what));
  };
  if (file->metadata["format"] != kFormat) return bad("this is not the checkpoint of a chunk gate");
  GateShape shape;
  for (auto [name, field] :
       {std::pair{"features", &shape.features}, std::pair{"chunk_tokens", &shape.chunk_tokens},
        std::pair{"hidden", &shape.hidden}}) {
    const std::string& text = file->metadata[name];
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *field);
    if (error != std::errc() || end != text.data() + text.size() || *field < 1 ||
        *field > 1 << 20) {
      return bad(fmt::format("its '{}' is '{}'", name, text));
    }
  }
  for (auto [name, part] : {std::pair{"mlp", &shape.mlp}, std::pair{"lstm", &shape.lstm}}) {
    const auto said = file->metadata.find(name);
    if (said == file->metadata.end()) continue;  // older files have both
    if (said->second != "0" && said->second != "1") {
      return bad(fmt::format("its '{}' is '{}', it must be 0 or 1", name, said->second));
    }
    *part = said->second == "1";
  }
  try {
    // Building the module first would allocate whatever the metadata says: check the widest tensor.
    const std::string widest_name = shape.mlp ? "token1.weight" : "chunk.weight";
    const auto widest = file->tensors.find(widest_name);
    if (widest == file->tensors.end() ||
        widest->second.numel() != int64_t{shape.features} * shape.hidden) {
      return bad(fmt::format("tensor '{}' is missing or of another shape", widest_name));
    }
    LoadedGate loaded;
    loaded.gate = ChunkGate(shape);
    if (Status s = FillGate(*file, *loaded.gate); !s.ok()) return bad(s.message());
    loaded.metadata = std::move(file->metadata);
    return loaded;
  } catch (const c10::Error& e) {
    return bad(e.what_without_backtrace());
  }
}

}  // namespace kvla

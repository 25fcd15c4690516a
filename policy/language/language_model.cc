// SPDX-License-Identifier: Apache-2.0
#include "policy/language/language_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "policy/compact/net/shapes.h"
#include "tensors/torch.h"

namespace kvla {
namespace {

constexpr int kMostLayers = 1000;
constexpr int kMostWidth = 1 << 20;

// A whole number of a GGUF's metadata within [1, most].
Result<int> Size(const nlohmann::json& metadata, const std::string& key, int most) {
  const auto found = metadata.find(key);
  if (found == metadata.end() || !found->is_number_unsigned()) {
    return BadInput(fmt::format("{} is missing or no whole number", key));
  }
  const auto value = found->get<uint64_t>();
  if (value < 1 || value > static_cast<uint64_t>(most)) {
    return BadInput(fmt::format("{} is {}: 1 to {} is possible", key, value, most));
  }
  return static_cast<int>(value);
}

std::optional<double> Number(const nlohmann::json& metadata, const std::string& key) {
  const auto found = metadata.find(key);
  if (found == metadata.end() || !found->is_number()) return std::nullopt;
  return found->get<double>();
}

Result<LanguageModelConfig> ReadConfig(const nlohmann::json& metadata) {
  if (metadata.value("general.architecture", nlohmann::json()) != "llama") {
    return BadInput("general.architecture is not 'llama'");
  }
  LanguageModelConfig config;
  for (const auto& [key, most, size] :
       {std::tuple<const char*, int, int*>{"llama.block_count", kMostLayers,
                                           &config.sizes.num_layers},
        {"llama.embedding_length", kMostWidth, &config.sizes.hidden_size},
        {"llama.feed_forward_length", kMostWidth, &config.sizes.intermediate_size},
        {"llama.attention.head_count", kMostWidth, &config.sizes.num_heads},
        {"llama.attention.head_count_kv", kMostWidth, &config.sizes.num_kv_heads},
        {"llama.context_length", 1 << 24, &config.context}}) {
    const Result<int> read = Size(metadata, key, most);
    if (!read.ok()) return read.status();
    *size = *read;
  }
  const DecoderSizes& s = config.sizes;
  if (s.hidden_size % s.num_heads != 0 || s.num_heads % s.num_kv_heads != 0 ||
      s.head_dim() % 2 != 0) {
    return BadInput(fmt::format("{} heads and {} KV heads do not divide {} evenly", s.num_heads,
                                s.num_kv_heads, s.hidden_size));
  }
  const auto epsilon = Number(metadata, "llama.attention.layer_norm_rms_epsilon");
  if (!epsilon || std::abs(*epsilon - kRmsNormEpsilon) > 1e-9) {
    return BadInput(
        fmt::format("llama.attention.layer_norm_rms_epsilon is not {}", kRmsNormEpsilon));
  }
  config.rope_theta = Number(metadata, "llama.rope.freq_base").value_or(10000);
  if (!(config.rope_theta > 1 && config.rope_theta < 1e12)) {
    return BadInput("llama.rope.freq_base is no base");
  }
  if (const auto dims = Number(metadata, "llama.rope.dimension_count");
      dims && *dims != s.head_dim()) {
    return BadInput("only a part of a head is turned: that is not supported");
  }
  return config;
}

// llama.cpp keeps rows of queries and keys in pairs, for interleaved rotation: back to halves.
at::Tensor Unpermuted(const at::Tensor& rows, int heads) {
  return rows.unflatten(0, {heads, -1, 2}).transpose(1, 2).reshape_as(rows).contiguous();
}

struct Wanted {
  std::string name;  // in the file
  int permuted_heads = 0;
};

// The decoder's parameters, by their names.
std::map<std::string, Wanted> WantedTensors(const LanguageModelConfig& config) {
  std::map<std::string, Wanted> wanted = {{"embed_tokens.weight", {"token_embd.weight"}},
                                          {"norm.weight", {"output_norm.weight"}}};
  for (int layer = 0; layer < config.sizes.num_layers; ++layer) {
    const std::string own = fmt::format("layers.{}.", layer), file = fmt::format("blk.{}.", layer);
    wanted[own + "input_layernorm.weight"] = {file + "attn_norm.weight"};
    wanted[own + "post_attention_layernorm.weight"] = {file + "ffn_norm.weight"};
    wanted[own + "self_attn.q_proj.weight"] = {file + "attn_q.weight", config.sizes.num_heads};
    wanted[own + "self_attn.k_proj.weight"] = {file + "attn_k.weight", config.sizes.num_kv_heads};
    wanted[own + "self_attn.v_proj.weight"] = {file + "attn_v.weight"};
    wanted[own + "self_attn.o_proj.weight"] = {file + "attn_output.weight"};
    for (const char* part : {"gate", "up", "down"}) {
      wanted[fmt::format("{}mlp.{}_proj.weight", own, part)] = {
          fmt::format("{}ffn_{}.weight", file, part)};
    }
  }
  return wanted;
}

}  // namespace

LanguageModel::LanguageModel(LanguageModelConfig config, BytePair tokenizer)
    : config_(config), tokenizer_(std::move(tokenizer)), decoder_(config.sizes) {
  decoder_->eval();
}

// Names are checked one by one, in both directions, before a value is taken.
Result<std::unique_ptr<LanguageModel>> LanguageModel::FromGguf(const GgufFile& file) {
  Result<LanguageModelConfig> config = ReadConfig(file.metadata);
  if (!config.ok()) return config.status();
  Result<BytePair> tokenizer = BytePair::FromGguf(file.metadata);
  if (!tokenizer.ok()) return tokenizer.status();
  config->sizes.vocabulary = tokenizer->size();
  const bool has_output = file.tensors.contains("output.weight");
  config->tied_output = !has_output;
  std::map<std::string, Wanted> wanted = WantedTensors(*config);
  std::set<std::string> expected;
  for (const auto& [own, of] : wanted) expected.insert(of.name);
  if (has_output) expected.insert("output.weight");
  for (const std::string& name : expected) {
    if (!file.tensors.contains(name)) return BadInput(fmt::format("tensor '{}' is missing", name));
  }
  for (const auto& [name, tensor] : file.tensors) {
    if (!expected.contains(name)) {
      return BadInput(fmt::format("tensor '{}' has no place in a Llama of {} layers", name,
                                  config->sizes.num_layers));
    }
  }
  std::unique_ptr<LanguageModel> model(new LanguageModel(*config, *std::move(tokenizer)));
  const torch::NoGradGuard no_grad;
  for (const auto& item : model->decoder_->named_parameters()) {
    const Wanted& of = wanted.at(item.key());
    const at::Tensor& tensor = file.tensors.at(of.name);
    if (tensor.sizes() != item.value().sizes()) {
      return BadInput(fmt::format("tensor '{}' is {}, not {}", of.name,
                                  fmt::join(tensor.sizes(), "x"),
                                  fmt::join(item.value().sizes(), "x")));
    }
    item.value().copy_(of.permuted_heads > 0 ? Unpermuted(tensor, of.permuted_heads) : tensor);
  }
  const at::Tensor& output = file.tensors.at(has_output ? "output.weight" : "token_embd.weight");
  if (output.dim() != 2 || output.size(0) != config->sizes.vocabulary ||
      output.size(1) != config->sizes.hidden_size) {
    return BadInput("tensor 'output.weight' is not one row a token");
  }
  model->output_ = output;
  return model;
}

Result<std::unique_ptr<LanguageModel>> LanguageModel::LoadGguf(const std::filesystem::path& path) {
  const Result<GgufFile> file = ReadGguf(path);
  if (!file.ok()) return file.status();
  try {
    Result<std::unique_ptr<LanguageModel>> model = FromGguf(*file);
    return model.ok() ? std::move(model) : model.status().In(path.string());
  } catch (const c10::Error& e) {
    return BadInput(fmt::format("{}: {}", path.string(), e.what_without_backtrace()));
  }
}

CacheGeometry LanguageModel::Geometry(int max_tokens) const {
  CacheGeometry g;
  g.layers = config_.sizes.num_layers;
  g.heads = config_.sizes.num_heads;
  g.kv_heads = config_.sizes.num_kv_heads;
  g.head_dim = config_.sizes.head_dim();
  g.tokens_per_block = 1;
  g.max_blocks = max_tokens;
  g.rope_theta = config_.rope_theta;
  return g;
}

Result<at::Tensor> LanguageModel::Step(KvCache& cache, int64_t id) {
  const c10::InferenceMode inference;
  if (Status s = cache.BeginBlock(); !s.ok()) return s;
  try {
    const at::Tensor x = decoder_->Embed(torch::tensor({id}, torch::kInt64));
    const at::Tensor out = decoder_->forward(
        x, [&](int layer, const Qkv& qkv) { return cache.Attend(layer, qkv.q, qkv.k, qkv.v); });
    if (Status s = cache.EndBlock(); !s.ok()) return s;
    return torch::matmul(output_, out[0]);
  } catch (const c10::Error& e) {
    return InternalError(fmt::format("language model: {}", e.what_without_backtrace()));
  }
}

}  // namespace kvla

// SPDX-License-Identifier: Apache-2.0
#include "policy/compact/cpu/cpu_decoder.h"

#include <algorithm>
#include <string>

#include "policy/compact/net/shapes.h"

namespace kvla {

CpuDecoder::CpuDecoder(const WeightSource& weights, const PolicyConfig& config)
    : hidden_size_(config.hidden_size), intermediate_size_(config.intermediate_size) {
  const int queries = config.num_heads * config.head_dim();
  const int keys = config.num_kv_heads * config.head_dim();
  for (int i = 0; i < config.num_layers; ++i) {
    const std::string at = "model.layers." + std::to_string(i) + ".";
    const auto weight = [&](const std::string& name) { return weights(at + name + ".weight"); };
    Layer layer;
    layer.input_norm = weight("input_layernorm");
    layer.post_attention_norm = weight("post_attention_layernorm");
    layer.qkv =
        PackedMatrix(Stacked(Stacked(weight("self_attn.q_proj"), weight("self_attn.k_proj")),
                             weight("self_attn.v_proj")),
                     {}, queries + 2 * keys, hidden_size_);
    layer.output = PackedMatrix(weight("self_attn.o_proj"), {}, hidden_size_, queries);
    layer.gate_up = PackedMatrix(Stacked(weight("mlp.gate_proj"), weight("mlp.up_proj")), {},
                                 2 * intermediate_size_, hidden_size_);
    layer.down = PackedMatrix(weight("mlp.down_proj"), {}, hidden_size_, intermediate_size_);
    layers_.push_back(std::move(layer));
  }
  norm_ = weights("model.norm.weight");
}

void CpuDecoder::Norm(const float* x, int rows, const std::vector<float>& weight,
                      float* out) const {
  CpuKernels().rms_norm({.x = x,
                         .rows = rows,
                         .width = hidden_size_,
                         .weight = weight.data(),
                         .bias = nullptr,
                         .epsilon = static_cast<float>(kRmsNormEpsilon),
                         .out = out});
}

void CpuDecoder::Run(float* x, int rows, const AttentionFn& attend) {
  const Kernels& kernels = CpuKernels();
  const auto linear = [&](const PackedMatrix& weight, const std::vector<float>& in, float* out,
                          bool add) {
    LinearJob job = DenseRows(weight, in.data(), rows, out);
    job.add = add;
    kernels.linear(job);
  };
  const auto grow = [](std::vector<float>* buffer, int64_t size) {
    if (static_cast<int64_t>(buffer->size()) < size) buffer->resize(size);
  };
  const Layer& any = layers_.front();
  grow(&normed_, int64_t{rows} * hidden_size_);
  grow(&wide_, int64_t{rows} * std::max(any.qkv.outputs(), any.gate_up.outputs()));
  grow(&narrow_, int64_t{rows} * std::max(any.output.inputs(), intermediate_size_));
  for (size_t i = 0; i < layers_.size(); ++i) {
    const Layer& layer = layers_[i];
    Norm(x, rows, layer.input_norm, normed_.data());
    linear(layer.qkv, normed_, wide_.data(), false);
    attend(static_cast<int>(i), {wide_.data(), layer.qkv.outputs(), rows}, narrow_.data());
    linear(layer.output, narrow_, x, true);
    Norm(x, rows, layer.post_attention_norm, normed_.data());
    linear(layer.gate_up, normed_, wide_.data(), false);
    kernels.silu_product(wide_.data(), rows, intermediate_size_, narrow_.data());
    linear(layer.down, narrow_, x, true);
  }
  Norm(x, rows, norm_, x);
}

}  // namespace kvla

// SPDX-License-Identifier: Apache-2.0
#include "policy/compact/cpu/cpu_net.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "kv_efficient/attention/ragged_attention.h"
#include "policy/compact/net/shapes.h"
#include "policy/compact/net/vla_net.h"
#include "tensors/module_weights.h"

namespace kvla {
CpuNet::CpuNet(const VlaNetImpl& net) : CpuNet(WeightsOf(net), net.config()) {}

CpuNet::CpuNet(const WeightSource& weights, const PolicyConfig& config)
    : config_(config), decoder_(weights, config), heads_(weights, config) {
  const int width = config.hidden_size;
  for (size_t i = 0; i < config.cameras.size(); ++i) {
    encoders_.emplace_back(weights, "image_encoders." + std::to_string(i), config.image_size,
                           config.camera_tokens[i], width);
  }
  state1_ = TakeLinear(weights, "state_encoder.0", width, kProprioDim, true);
  state2_ = TakeLinear(weights, "state_encoder.2", width, width, true);
  state_norm_weight_ = weights("state_encoder.3.weight");
  state_norm_bias_ = weights("state_encoder.3.bias");
  slot_embedding_ = weights("slot_embedding");
  instruction_position_ = weights("instruction_position");
  if (config.reads_sentences()) {
    text_map_ = TakeLinear(weights, "text_map", config.instruction_tokens * width,
                           kTextEmbeddingSize, true);
  } else {
    word_embedding_ = weights("model.embed_tokens.weight");
  }
  if (config.recurrent()) memory_.emplace(weights, config);
}

void CpuNet::Encode(std::span<const FrameInput* const> frames, float* blocks) {
  const Kernels& kernels = CpuKernels();
  const int width = config_.hidden_size, count = static_cast<int>(frames.size());
  const int64_t block = int64_t{config_.tokens_per_block()} * width;
  float* at = blocks;
  std::vector<std::span<const uint8_t>> images(frames.size());
  for (size_t camera = 0; camera < encoders_.size(); ++camera) {
    for (size_t f = 0; f < frames.size(); ++f) images[f] = frames[f]->images[camera];
    encoders_[camera].Encode(images, at, block);
    at += int64_t{config_.camera_tokens[camera]} * width;
  }
  // The state token comes last.
  std::vector<float> proprio;
  for (const FrameInput* frame : frames) {
    for (int i = 0; i < kProprioDim; ++i) {
      proprio.push_back((frame->proprio[i] - kProprioCentre[i]) / kProprioSpread[i]);
    }
  }
  state_.resize(static_cast<size_t>(count) * width);
  kernels.linear(DenseRows(state1_, proprio.data(), count, state_.data()));
  kernels.silu(state_.data(), static_cast<int64_t>(state_.size()));
  LinearJob last = DenseRows(state2_, state_.data(), count, at);
  last.out_stride = block;
  kernels.linear(last);
  for (int f = 0; f < count; ++f) {
    float* state = at + f * block;
    kernels.layer_norm({.x = state,
                        .rows = 1,
                        .width = width,
                        .weight = state_norm_weight_.data(),
                        .bias = state_norm_bias_.data(),
                        .epsilon = static_cast<float>(kLayerNormEpsilon),
                        .out = state});
    float* tokens = blocks + f * block;
    for (int64_t i = 0; i < block; ++i) tokens[i] += slot_embedding_[i];
  }
}

std::vector<float> CpuNet::EmbedInstruction(const at::Tensor& instruction) const {
  const int width = config_.hidden_size;
  std::vector<float> x;
  if (config_.reads_sentences()) {
    const at::Tensor scaled =
        (instruction * kTextScale).to(torch::kCPU, torch::kFloat32).contiguous();
    x.resize(text_map_.outputs());
    CpuKernels().linear(DenseRows(text_map_, scaled.const_data_ptr<float>(), 1, x.data()));
  } else {
    const at::Tensor ids = instruction.to(torch::kCPU, torch::kInt64).contiguous();
    for (int64_t i = 0; i < ids.numel(); ++i) {
      const float* row = word_embedding_.data() + ids.const_data_ptr<int64_t>()[i] * width;
      x.insert(x.end(), row, row + width);
    }
  }
  for (size_t i = 0; i < x.size(); ++i) x[i] += instruction_position_[i];
  return x;
}

// The tokens, a learned position on each, go through the decoder once. In every layer they attend
// to each other alone, un-rotated, as one near region of ragged attention; their keys and values go
// into the cache, where every block sees them.
Status CpuNet::ReadInstruction(const at::Tensor& instruction, KvCache& cache) {
  const int width = config_.hidden_size, head_dim = config_.head_dim();
  std::vector<float> x = EmbedInstruction(instruction);
  const int tokens = static_cast<int>(x.size()) / width;

  const int heads = config_.num_heads, kv_heads = config_.num_kv_heads, group = heads / kv_heads;
  const int rows = group * tokens, stride = PaddedRows(rows);
  const float scale = 1 / std::sqrt(static_cast<float>(head_dim));
  Status status;
  decoder_.Run(x.data(), tokens, [&](int layer, const QkvRows& qkv, float* out) {
    const HeadRows q{qkv.data, head_dim, qkv.stride};
    const HeadRows k{qkv.data + int64_t{heads} * head_dim, head_dim, qkv.stride};
    const HeadRows v{k.data + int64_t{kv_heads} * head_dim, head_dim, qkv.stride};
    if (Status s = cache.AppendInstruction(layer, tokens, k, v); !s.ok()) status = std::move(s);
    queries_.assign(static_cast<size_t>(head_dim) * stride, 0);
    attended_.resize(queries_.size());
    log_sum_exp_.resize(stride);
    for (int h = 0; h < kv_heads; ++h) {
      keys_.clear();
      values_.clear();
      for (int t = 0; t < tokens; ++t) {
        keys_.insert(keys_.end(), k.row(h, t), k.row(h, t) + head_dim);
        values_.insert(values_.end(), v.row(h, t), v.row(h, t) + head_dim);
        for (int g = 0; g < group; ++g) {
          for (int d = 0; d < head_dim; ++d) {
            queries_[d * stride + g * tokens + t] = scale * q.row(h * group + g, t)[d];
          }
        }
      }
      AttentionJob job;
      job.near = {keys_.data(), values_.data(), nullptr, tokens, queries_.data()};
      job.head_dim = head_dim;
      job.rows = rows;
      job.out = attended_.data();
      job.log_sum_exp = log_sum_exp_.data();
      CpuAttention().attend(job);
      for (int t = 0; t < tokens; ++t) {
        for (int g = 0; g < group; ++g) {
          float* to = out + (int64_t{t} * heads + h * group + g) * head_dim;
          for (int d = 0; d < head_dim; ++d) to[d] = attended_[d * stride + g * tokens + t];
        }
      }
    }
  });
  return status;
}

void CpuNet::Feed(std::span<KvCache* const> caches, float* blocks) {
  const int tokens = config_.decoder_tokens(), head_dim = config_.head_dim();
  const int64_t attended = int64_t{config_.num_heads} * head_dim;
  decoder_.Run(
      blocks, tokens * static_cast<int>(caches.size()),
      [&](int layer, const QkvRows& qkv, float* out) {
        for (size_t i = 0; i < caches.size(); ++i) {
          const int64_t row = static_cast<int64_t>(i) * tokens;
          const HeadRows q{qkv.data + row * qkv.stride, head_dim, qkv.stride};
          const HeadRows k{q.data + attended, head_dim, qkv.stride};
          const HeadRows v{k.data + int64_t{config_.num_kv_heads} * head_dim, head_dim, qkv.stride};
          caches[i]->Attend(layer, q, k, v, out + row * attended);
        }
      });
}

void CpuNet::Act(std::span<const FrameInput* const> frames, const float* hidden,
                 std::span<Targets> targets) {
  std::vector<std::array<float, kProprioDim>> proprio;
  for (const FrameInput* frame : frames) proprio.push_back(frame->proprio);
  heads_.Run(hidden, proprio, targets);
}

RecurrentState CpuNet::BeginState(const at::Tensor& instruction) {
  return memory_->Begin(EmbedInstruction(instruction));
}

void CpuNet::Remember(std::span<RecurrentState* const> states, const float* encoded,
                      float* blocks) {
  memory_->Remember(states, encoded, blocks);
}

}  // namespace kvla

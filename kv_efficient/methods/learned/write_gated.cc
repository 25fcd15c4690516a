// SPDX-License-Identifier: Apache-2.0
#include "kv_efficient/methods/learned/write_gated.h"

#include <fmt/format.h>

#include <memory>
#include <utility>

#include "kv_efficient/methods/learned/write_gate.h"
#include "kv_efficient/methods/tokens/token_retention.h"
#include "kv_efficient/rotary.h"
#include "tensors/floats.h"
#include "tensors/torch.h"

namespace kvla {
namespace {

// The gate is shared, read only.
class WriteGated : public TokenRetention {
 public:
  WriteGated(const CacheConfig& config, const CacheGeometry& geometry, WriteGate gate)
      : TokenRetention(config, geometry, static_cast<float>(config.threshold)),
        gate_(std::move(gate)),
        rotary_(std::make_shared<RotaryTable>(geometry.head_dim, geometry.rope_theta,
                                              geometry.max_blocks, geometry.positions_per_block)) {}

  Needs needs() const override { return {.far_keys_values = true}; }
  std::unique_ptr<CachePolicy> Clone() const override {
    return std::make_unique<WriteGated>(*this);
  }
  MethodCost cost() const override {
    MethodCost cost = TokenRetention::cost();
    for (const at::Tensor& weights : gate_->parameters()) {
      cost.held_bytes += weights.numel() * static_cast<int64_t>(sizeof(float));
    }
    cost.plan_flops += gate_->Flops() * static_cast<double>(scored_tokens());
    return cost;
  }

 protected:
  std::vector<std::vector<float>> ScoreTokens(const ChunkView& chunk,
                                              const FarState& state) override {
    c10::InferenceMode inference;
    std::vector<std::vector<float>> scores;
    for (size_t lane = 0; lane < state.lanes.size(); ++lane) {
      std::vector<int64_t> blocks;
      for (const FarToken& token : Competing(chunk, state.lanes[lane])) {
        blocks.push_back(token.block());
      }
      const at::Tensor keys = state.lanes[lane].keys.cpu();
      const at::Tensor rotated = Rotate(keys, *rotary_, torch::tensor(blocks, torch::kInt64));
      const int layer = static_cast<int>(lane) / geometry().kv_heads;
      const int head = static_cast<int>(lane) % geometry().kv_heads;
      scores.push_back(FloatsOf(gate_->Logits(layer, head, keys, rotated).sigmoid()));
    }
    return scores;
  }

 private:
  WriteGate gate_;
  std::shared_ptr<const RotaryTable> rotary_;
};

}  // namespace

CacheMethod WriteGateMethod(std::string name, std::string help, std::string gate_file) {
  CacheMethod method{
      std::move(name),
      std::move(help),
      {"gate", "threshold", "budget_tokens", "budget_bytes", "budget_share", "budget_of"}};
  method.gate_file = std::move(gate_file);
  method.check = [](const CacheConfig& config) {
    return config.gate.empty()
               ? BadInput(fmt::format(
                     "cache: policy '{}' needs 'gate', the file of a trained write gate",
                     config.policy))
               : Status();
  };
  method.make = [](const CacheConfig& config,
                   const CacheGeometry& geometry) -> Result<std::unique_ptr<CachePolicy>> {
    Result<WriteGate> gate = LoadWriteGate(config.gate, config.policy, geometry);
    if (!gate.ok()) return gate.status();
    return std::unique_ptr<CachePolicy>(
        std::make_unique<WriteGated>(config, geometry, *std::move(gate)));
  };
  return method;
}

}  // namespace kvla

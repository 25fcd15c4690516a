// SPDX-License-Identifier: Apache-2.0
// The paper's method (KV-Efficient VLA): a learned gate scores each chunk that leaves.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "kv_efficient/cache_geometry.h"
#include "kv_efficient/methods/cache_config.h"
#include "kv_efficient/methods/cache_policy.h"
#include "kv_efficient/methods/learned/chunk_gate.h"
#include "kv_efficient/methods/learned/gate_forward.h"
#include "kv_efficient/methods/learned/random_gate.h"
#include "kv_efficient/methods/method_table.h"
#include "kv_efficient/saved_state.h"
#include "tensors/module_weights.h"
#include "tensors/safetensors.h"
#include "tensors/torch.h"

namespace kvla {
namespace {

// The gate is shared, read only; the LSTM's state is the method's own.
class Gated : public CachePolicy {
 public:
  Gated(ChunkGate gate, RetentionRule rule)
      : CachePolicy(rule), gate_(std::move(gate)), forward_(WeightsOf(*gate_), gate_->shape()) {}

  Needs needs() const override { return {.keys_values = true}; }
  void Reset(const EpisodeFacts&) override { state_ = {}; }
  float Score(const ChunkView& chunk) override {
    c10::InferenceMode inference;
    // The gate is small and its answer is needed on the host: it runs there.
    const at::Tensor features = GateFeatures(chunk.keys, chunk.values).cpu().contiguous();
    const float logit = forward_.Step(features.const_data_ptr<float>(),
                                      static_cast<int>(features.size(0)), &state_);
    return static_cast<float>(1 / (1 + std::exp(-double{logit})));
  }
  std::unique_ptr<CachePolicy> Clone() const override { return std::make_unique<Gated>(*this); }
  MethodCost cost() const override {
    const GateShape& s = gate_->shape();
    int64_t held = s.lstm ? 2 * s.hidden : 0;  // the LSTM's state
    for (const at::Tensor& weights : gate_->parameters()) held += weights.numel();
    // The features, and normalized, and the MLP's first layer.
    const int64_t transient = int64_t{s.chunk_tokens} * (2 * s.features + (s.mlp ? s.hidden : 0));
    constexpr int64_t kValueBytes = sizeof(float);
    return {held * kValueBytes, transient * kValueBytes, gate_->Flops()};
  }

  std::vector<uint8_t> SaveState() const override {
    ByteWriter out;
    for (const std::vector<float>* values : {&state_.h, &state_.c}) {
      out.Raw(values->data(), static_cast<int64_t>(values->size() * sizeof(float)));
    }
    return out.Take();
  }

  Status RestoreState(std::span<const uint8_t> bytes) override {
    state_ = {};
    if (bytes.empty()) return {};
    ByteReader in(bytes);
    GateForward::State state;
    for (std::vector<float>* values : {&state.h, &state.c}) {
      values->resize(gate_->shape().hidden);
      const bool read =
          in.Raw(values->data(), static_cast<int64_t>(values->size() * sizeof(float)));
      if (!read || !std::ranges::all_of(*values, [](float x) { return std::isfinite(x); })) {
        return BadInput("the saved state of the gate is cut short or not finite");
      }
    }
    if (!in.done() || !gate_->shape().lstm) {
      return BadInput("the saved state does not belong to this gate");
    }
    state_ = state;
    return {};
  }

 private:
  ChunkGate gate_;
  GateForward forward_;
  GateForward::State state_;
};

Result<ChunkGate> GateOf(const CacheConfig& c, const CacheGeometry& geometry) {
  const int chunk_tokens = c.chunk_blocks * geometry.tokens_per_block;
  if (c.gate == kRandomGate) {
    ChunkGate random(GateShape{.features = geometry.gate_features(), .chunk_tokens = chunk_tokens});
    FillAtRandom(random.ptr().get());
    return random;
  }
  Result<LoadedGate> gate = LoadGate(c.gate);
  if (!gate.ok()) return gate.status();
  const GateShape& shape = gate->gate->shape();
  if (shape.features != geometry.gate_features() || shape.chunk_tokens != chunk_tokens) {
    return BadInput(fmt::format(
        "gate '{}' was trained for chunks of {} tokens with {} features; this decoder and cache "
        "have {} tokens and {} features",
        c.gate, shape.chunk_tokens, shape.features, chunk_tokens, geometry.gate_features()));
  }
  return gate->gate;
}

Result<std::unique_ptr<CachePolicy>> LoadGated(const CacheConfig& c,
                                               const CacheGeometry& geometry) {
  const Result<ChunkGate> gate = GateOf(c, geometry);
  if (!gate.ok()) return gate.status();
  RetentionRule rule = RuleOf(c, geometry);
  rule.threshold = static_cast<float>(c.threshold);
  return Result<std::unique_ptr<CachePolicy>>(std::make_unique<Gated>(*gate, rule));
}

}  // namespace

CacheMethod GatedMethod() {
  CacheMethod method{"gated", "keeps the chunks that a learned gate scores high",
                     WithBudget({"gate", "threshold", "keep"})};
  method.scores = method.unit_scores = true;
  method.gate_file = "gate.safetensors";
  method.check = [](const CacheConfig& config) {
    return config.gate.empty()
               ? BadInput("cache: policy 'gated' needs 'gate', the file of a trained gate")
               : Status();
  };
  method.make = LoadGated;
  return method;
}

std::string GateKeepWarning(const CacheConfig& c) {
  if (c.gate.empty()) return {};
  const Result<TensorFile> file = ReadSafetensors(c.gate);
  if (!file.ok()) return {};
  std::string warning;
  const auto compare = [&](const char* setting, const std::string& now, const char* what) {
    const auto trained = file->metadata.find(setting);
    if (!warning.empty() || trained == file->metadata.end() || trained->second == now) return;
    warning = fmt::format(
        "gate '{}' was trained for chunks that are {} {}, this arm keeps them {}: what it calls "
        "useful need not be (set {}: {}, or train it with that)",
        c.gate, what, trained->second, now, setting, trained->second);
  };
  compare("keep", c.keep, "kept");
  compare("storage", c.storage, "kept in");
  return warning;
}

}  // namespace kvla

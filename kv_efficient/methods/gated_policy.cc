#include "kv_efficient/methods/gated_policy.h"

#include "kv_efficient/saved_state.h"
#include "tensors/torch.h"

namespace kvla {
namespace {

class Gated : public CachePolicy {
 public:
  Gated(ChunkGate gate, RetentionRule rule) : CachePolicy(rule), gate_(std::move(gate)) {}

  Needs needs() const override { return {.keys_values = true}; }
  void Reset(const EpisodeFacts&) override { state_ = {}; }
  float Score(const ChunkView& chunk) override {
    c10::InferenceMode inference;
    // The gate is small and its answer is needed on the host: it runs there.
    const at::Tensor features = GateFeatures(chunk.keys, chunk.values).unsqueeze(0).cpu();
    return torch::sigmoid(gate_->Step(features, &state_)).item<float>();
  }
  std::unique_ptr<CachePolicy> Clone() const override { return std::make_unique<Gated>(*this); }
  MethodCost cost() const override {
    const GateShape& s = gate_->shape();
    int64_t held = 2 * s.hidden;  // the LSTM's state
    for (const at::Tensor& weights : gate_->parameters()) held += weights.numel();
    // The features, and normalized, and the MLP's first layer.
    const int64_t transient = int64_t{s.chunk_tokens} * (2 * s.features + s.hidden);
    constexpr int64_t kValueBytes = sizeof(float);
    return {held * kValueBytes, transient * kValueBytes, gate_->Flops()};
  }

  std::vector<uint8_t> SaveState() const override {
    ByteWriter out;
    if (!state_.h.defined()) return out.Take();
    for (const at::Tensor& t : {state_.h, state_.c}) {
      const at::Tensor values = t.cpu().contiguous();
      out.Raw(values.const_data_ptr<float>(), values.numel() * sizeof(float));
    }
    return out.Take();
  }

  Status RestoreState(std::span<const uint8_t> bytes) override {
    state_ = {};
    if (bytes.empty()) return {};
    c10::InferenceMode inference;
    ByteReader in(bytes);
    ChunkGateImpl::State state;
    for (at::Tensor* t : {&state.h, &state.c}) {
      at::Tensor values = torch::empty({1, gate_->shape().hidden});
      const bool read = in.Raw(values.data_ptr<float>(), values.numel() * sizeof(float));
      if (!read || !torch::isfinite(values).all().item<bool>()) {
        return BadInput("the saved state of the gate is cut short or not finite");
      }
      *t = values;
    }
    if (!in.done()) return BadInput("the saved state does not belong to this gate");
    state_ = state;
    return {};
  }

 private:
  ChunkGate gate_;
  ChunkGateImpl::State state_;  // tensors are replaced, never written: copies may share them
};

}  // namespace

std::unique_ptr<CachePolicy> MakeGated(ChunkGate gate, RetentionRule rule) {
  return std::make_unique<Gated>(std::move(gate), rule);
}

}  // namespace kvla

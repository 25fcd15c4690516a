// SPDX-License-Identifier: Apache-2.0
#include "harness/bench/kept_share.h"

#include <c10/core/InferenceMode.h>

#include "kv_efficient/methods/learned/gate_forward.h"
#include "tensors/module_weights.h"

namespace kvla {

struct KeptShare::Gate {
  explicit Gate(const GateShape& shape) : module(shape), forward(WeightsOf(*module), shape) {}
  ChunkGate module;
  GateForward forward;
  GateForward::State state;
};

KeptShare::KeptShare(const GateShape& shape, double share)
    : CachePolicy({.threshold = 0.5F}),
      gate_(std::make_shared<Gate>(shape)),
      share_(share),
      gate_flops_(gate_->module->Flops()) {}

KeptShare::~KeptShare() = default;

void KeptShare::Reset(const EpisodeFacts&) { gate_->state = {}; }

float KeptShare::Score(const ChunkView& chunk) {
  if (asks_) {
    const c10::InferenceMode inference;
    const at::Tensor features = GateFeatures(chunk.keys, chunk.values).contiguous();
    gate_->forward.Step(features.const_data_ptr<float>(), static_cast<int>(features.size(0)),
                        &gate_->state);
  }
  return KeepsChunk(chunk.chunk, share_) ? 1 : 0;
}

std::unique_ptr<CachePolicy> KeptShare::Clone() const { return std::make_unique<KeptShare>(*this); }

}  // namespace kvla

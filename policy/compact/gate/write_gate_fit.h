// SPDX-License-Identifier: Apache-2.0
// Fits a WriteGate to whatever says how far a gated pass is from an ungated one. Includes torch.
#ifndef KVLA_POLICY_COMPACT_GATE_WRITE_GATE_FIT_H_
#define KVLA_POLICY_COMPACT_GATE_WRITE_GATE_FIT_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "base/status.h"
#include "kv_efficient/methods/learned/write_gate.h"
#include "kv_efficient/training/training_attention.h"
#include "policy/compact/gate/write_gate_training.h"
#include "tensors/torch.h"

namespace kvla {

// How a token is let through. soft: by sigmoid(logit). relaxed: by a draw of the Gumbel-sigmoid.
// hard: whole at a logit of 0 or more, else not at all. shut: not at all.
enum class Opening { kSoft, kRelaxed, kHard, kShut };

struct GateOpening {
  Opening opening = Opening::kSoft;
  double temperature = 1;  // relaxed
  uint64_t noise_key = 0;  // relaxed
};

// One pass of a student: its attention, and what its gate lets through. `gate` must outlive it.
class GatedPass {
 public:
  GatedPass(const WriteGate& gate, const GateOpening& opening) : gate_(gate), opening_(opening) {}

  // TrainingAttention() in which the tokens of the blocks, once they left the window, weigh what
  // the gate says of them; the instruction weighs 1. Differentiable in the gate.
  torch::Tensor Attend(int layer, const torch::Tensor& q, const torch::Tensor& k,
                       const torch::Tensor& v, const TrainingPlan& plan);
  // The mean weight, over all layers, heads and tokens of complete chunks. A scalar.
  torch::Tensor kept() const { return torch::stack(kept_).mean(); }

 private:
  const WriteGate& gate_;
  GateOpening opening_;
  std::vector<torch::Tensor> kept_;  // by layer
};

struct WriteGateStep {
  int number = 0;       // from 1
  double share = 0;     // of the training that is over
  double loss = 0;      // means over the batch
  double distance = 0;  // of the student from the teacher
  double kept = 0;
  double seconds = 0;
};

// What it is taught by: a student's pass over history `part` of step `step`, given to it; returns
// its distance from the teacher, a scalar. Called side by side.
using WriteGateTeacher = std::function<torch::Tensor(int step, size_t part, GatedPass& pass)>;

// What dms may keep when `share` of the training is over: 1 / ratio, where the ratio grows evenly.
double DmsAim(double share, double final_share);

// Trains until config.steps are over or `spent` (of config.minutes; none: no limit) says 1.
// `on_step` says whether to go on: else kCancelled.
Status FitWriteGate(const WriteGateTrainConfig& config, const WriteGateTeacher& teacher,
                    const std::function<double()>& spent, WriteGate& gate,
                    const std::function<bool(const WriteGateStep&)>& on_step);

}  // namespace kvla

#endif  // KVLA_POLICY_COMPACT_GATE_WRITE_GATE_FIT_H_

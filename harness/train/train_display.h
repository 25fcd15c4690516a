// SPDX-License-Identifier: Apache-2.0
// What a person sees of a training.
#ifndef KVLA_HARNESS_TRAIN_TRAIN_DISPLAY_H_
#define KVLA_HARNESS_TRAIN_TRAIN_DISPLAY_H_

#include <memory>
#include <string>

#include "harness/workers/progress.h"
#include "policy/compact/training/train.h"

namespace kvla {

// A bar for each phase, with a line of its own for each note (validation figures).
class TrainDisplay {
 public:
  explicit TrainDisplay(ProgressStyle style) : style_(style) {}
  // `label` stands in front of the phase, `more` behind what is said of the step.
  void Show(const TrainProgress& p, const std::string& label = "", const std::string& more = "");
  void Finish();

 private:
  ProgressStyle style_;
  std::string phase_;
  std::unique_ptr<ProgressBar> bar_;
};

}  // namespace kvla

#endif  // KVLA_HARNESS_TRAIN_TRAIN_DISPLAY_H_

// What the two trainers share: flags, progress, reading demonstrations.
#ifndef KVLA_APPS_TRAIN_COMMON_H_
#define KVLA_APPS_TRAIN_COMMON_H_

#include <fmt/format.h>

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "harness/progress.h"
#include "policy/train.h"

namespace kvla {

struct TrainFlags {
  std::string config;
  std::vector<std::string> overrides;
  bool dry_run = false;
};

// A bar, with a line of its own for each note (validation figures).
class TrainDisplay {
 public:
  explicit TrainDisplay(std::string label) : label_(std::move(label)) {}

  void Show(const TrainProgress& p) {
    // A resumed training starts at its step.
    if (bar_ == nullptr) bar_ = std::make_unique<ProgressBar>(label_, p.steps, p.step);
    if (!p.note.empty()) {
      bar_->Clear();
      fmt::print("step {}: {}\n", p.step, p.note);
      std::fflush(stdout);
    }
    bar_->Update(p.step, fmt::format("(loss {:.4f}, {:.2f} s a step)", p.loss, p.seconds_per_step));
  }
  void Finish() {
    if (bar_ != nullptr) bar_->Finish();
  }

 private:
  std::string label_;
  std::unique_ptr<ProgressBar> bar_;
};

}  // namespace kvla

#endif  // KVLA_APPS_TRAIN_COMMON_H_

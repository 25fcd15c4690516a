// SPDX-License-Identifier: Apache-2.0
#include "harness/train/train_display.h"

#include <fmt/format.h>

#include "base/streams.h"

namespace kvla {

void TrainDisplay::Show(const TrainProgress& p, const std::string& label, const std::string& more) {
  const std::string phase = label.empty() ? p.phase : fmt::format("{}: {}", label, p.phase);
  if (bar_ == nullptr || phase_ != phase) {
    Finish();
    phase_ = phase;
    // A resumed one is under way.
    bar_ = std::make_unique<ProgressBar>(style_, phase_, p.steps, p.step);
  }
  if (!p.note.empty()) {
    bar_->Clear();
    Print("{}step {}: {}\n", label.empty() ? "" : label + ", ", p.step, p.note);
    FlushStdout();
  }
  const std::string step = p.seconds_per_step > 0 ? fmt::format("(loss {:.4f}, {:.2f} s a step{})",
                                                                p.loss, p.seconds_per_step, more)
                                                  : "";
  bar_->Update(p.step, step);
}

void TrainDisplay::Finish() {
  if (bar_ != nullptr) bar_->Finish();
  bar_.reset();
}

}  // namespace kvla

// SPDX-License-Identifier: Apache-2.0
// Where measured times come from.
#ifndef KVLA_BASE_STOPWATCH_H_
#define KVLA_BASE_STOPWATCH_H_

#include <chrono>
#include <functional>

namespace kvla {

// Milliseconds since some fixed moment; never goes back. Tests hand in one that they move.
using MsClock = std::function<double()>;

inline double SteadyMs() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double, std::milli>(now).count();
}

// Adds the time of its life to a counter. Both must outlive it.
class Stopwatch {
 public:
  Stopwatch(const MsClock& now, double* ms) : now_(now), ms_(ms), begin_(now()) {}
  ~Stopwatch() { *ms_ += now_() - begin_; }
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

 private:
  const MsClock& now_;
  double* ms_;
  double begin_;
};

}  // namespace kvla

#endif  // KVLA_BASE_STOPWATCH_H_

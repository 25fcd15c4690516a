// SPDX-License-Identifier: Apache-2.0
#include "harness/bench/rounds.h"

#include <time.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/stopwatch.h"

namespace kvla {

double ThreadMs() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return 1e3 * static_cast<double>(now.tv_sec) + 1e-6 * static_cast<double>(now.tv_nsec);
}

double Samples::median() const {
  std::vector<double> sorted = ms_;
  std::sort(sorted.begin(), sorted.end());
  const size_t half = sorted.size() / 2;
  return sorted.size() % 2 == 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

double Samples::sum() const { return std::accumulate(ms_.begin(), ms_.end(), 0.0); }
double Samples::mean() const { return sum() / count(); }

void PutTimes(const std::string& name, const Samples& samples, nlohmann::json* row) {
  (*row)[name + "_ms_median"] = samples.median();
  (*row)[name + "_ms_mean"] = samples.mean();
}

Turn Repeat(std::function<void()> work, Samples* samples) {
  return [work = std::move(work), samples](bool kept) {
    constexpr double kTurnMs = 2;
    work();
    if (!kept) return Status();
    const double first = ThreadMs();
    double begin = first;
    do {
      work();
      const double end = ThreadMs();
      samples->Add(end - begin);
      begin = end;
    } while (begin - first < kTurnMs);
    return Status();
  };
}

Turn Once(std::function<void()> work, Samples* samples) {
  return [work = std::move(work), samples](bool kept) {
    if (!kept) return Status();
    const double begin = ThreadMs();
    work();
    samples->Add(ThreadMs() - begin);
    return Status();
  };
}

Status TakeTurns(const std::vector<Turn>& turns, double seconds, int least_rounds) {
  const double begin = SteadyMs();
  for (int round = 0; round < least_rounds || SteadyMs() - begin < 1000 * seconds; ++round) {
    for (const Turn& turn : turns) {
      if (Status status = turn(round > 0); !status.ok()) return status;
    }
  }
  return {};
}

}  // namespace kvla

// SPDX-License-Identifier: Apache-2.0
// Things that are timed in turns: a machine's speed changes while one measures, the ratio of two
// neighbours hardly does.
#ifndef KVLA_HARNESS_BENCH_ROUNDS_H_
#define KVLA_HARNESS_BENCH_ROUNDS_H_

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/status.h"

namespace kvla {

// Milliseconds of this thread's processor time: what others do on the machine takes only a part of
// its caches and memory.
double ThreadMs();

// Times of one thing, in milliseconds.
class Samples {
 public:
  void Add(double ms) { ms_.push_back(ms); }
  int count() const { return static_cast<int>(ms_.size()); }
  double median() const;  // REQUIRES: count() > 0
  double mean() const;    // REQUIRES: count() > 0
  double sum() const;

 private:
  std::vector<double> ms_;
};

// Writes NAME_ms_median and NAME_ms_mean.
void PutTimes(const std::string& name, const Samples& samples, nlohmann::json* row);
// Of the medians.
inline double Ratio(const Samples& a, const Samples& b) { return a.median() / b.median(); }

// One turn of one thing. `kept` is false in the first round, which only warms what there is to
// warm.
using Turn = std::function<Status(bool kept)>;

// The turn of work that leaves nothing behind: once untimed, as the turn before has taken its place
// in the caches; then as often as fits into 2 ms, but at least once. Both must outlive the turn.
Turn Repeat(std::function<void()> work, Samples* samples);

// The same of work that takes so long that there is nothing to warm: once a round, and not in the
// first one.
Turn Once(std::function<void()> work, Samples* samples);

// Takes all turns in order, again and again: `least_rounds`, the first one among them, and others
// until `seconds` have passed.
Status TakeTurns(const std::vector<Turn>& turns, double seconds, int least_rounds = 2);

}  // namespace kvla

#endif  // KVLA_HARNESS_BENCH_ROUNDS_H_

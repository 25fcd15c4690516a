// SPDX-License-Identifier: Apache-2.0
// What was measured at some inferences, on straight lines between them. No torch.
#ifndef KVLA_HARNESS_BENCH_CURVE_H_
#define KVLA_HARNESS_BENCH_CURVE_H_

#include <cstddef>
#include <utility>
#include <vector>

namespace kvla {

class Curve {
 public:
  // In ascending order of inferences.
  void Add(int inference, double value) { points_.emplace_back(inference, value); }
  // REQUIRES: a point. Beyond the last ones the last line goes on.
  double At(int inference) const {
    if (points_.size() == 1) return points_[0].second;
    size_t i = 1;
    while (i + 1 < points_.size() && points_[i].first < inference) ++i;
    const auto [x0, y0] = points_[i - 1];
    const auto [x1, y1] = points_[i];
    return y0 + (y1 - y0) * (inference - x0) / (x1 - x0);
  }

 private:
  std::vector<std::pair<int, double>> points_;
};

}  // namespace kvla

#endif  // KVLA_HARNESS_BENCH_CURVE_H_

// SPDX-License-Identifier: Apache-2.0
#include "harness/certify/novelty.h"

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <numeric>
#include <utility>

#include "base/parallel_jobs.h"
#include "harness/certify/expert_watch.h"

namespace kvla {
namespace {

// Mean |a - b|; 0 where there is nothing to compare with.
template <class T>
double MeanDifference(const std::vector<T>& a, std::span<const T> b) {
  if (a.empty()) return 0;
  int64_t sum = 0;
  for (size_t i = 0; i < b.size(); ++i) {
    sum += std::abs(static_cast<int>(a[i]) - static_cast<int>(b[i]));
  }
  return static_cast<double>(sum) / static_cast<double>(b.size());
}

}  // namespace

void NoveltyMeter::Add(std::span<const uint8_t> pixels) {
  change_ += MeanDifference<uint8_t>(last_, pixels);
  last_.assign(pixels.begin(), pixels.end());
  sum_.resize(pixels.size());
  for (size_t i = 0; i < pixels.size(); ++i) sum_[i] += pixels[i];
  if (++blocks_ % chunk_blocks_ != 0) return;
  scores_.changes.push_back(std::exchange(change_, 0));
  scores_.means.push_back(MeanDifference<int>(last_sum_, sum_) / chunk_blocks_);
  last_sum_ = std::exchange(sum_, {});
}

std::vector<int> Highest(std::span<const double> scores, int count) {
  std::vector<int> order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, [&](int a, int b) {
    return scores[static_cast<size_t>(a)] > scores[static_cast<size_t>(b)];
  });
  order.resize(std::min(order.size(), static_cast<size_t>(count)));
  return order;
}

Result<std::vector<ChunkNovelty>> MeasureNovelty(const Task& task, const std::string& delay,
                                                 std::span<const int> left,
                                                 const NoveltyOptions& options,
                                                 const std::function<bool(int, int)>& progress) {
  std::vector<ChunkNovelty> measured(left.size());  // each written by who took it
  const PolicyGeometry& geometry = options.geometry;
  const auto begin = [&]() -> Result<Job> {
    const Result<std::shared_ptr<ExpertWatch>> made = ExpertWatch::Create(task, options.image_size);
    if (!made.ok()) return made.status();
    return Job([&, watch = *made](int i) {
      const EpisodeKey key{Split::kValidation, options.run_seed, task.info().name, delay,
                           static_cast<uint64_t>(i)};
      const int steps = left[i] * geometry.chunk_blocks * geometry.replan_steps;
      NoveltyMeter meter(geometry.chunk_blocks);
      std::vector<Image> images;
      const auto look = [&](const Scenario&, int step, const ExpertLabel&) -> Result<bool> {
        if (step >= steps) return false;
        if (step % geometry.replan_steps != 0) return true;
        if (Status s = watch->Look(&images); !s.ok()) return s;
        std::vector<uint8_t> pixels;
        for (const Image& image : images) {
          pixels.insert(pixels.end(), image.rgb.begin(), image.rgb.end());
        }
        meter.Add(pixels);
        return true;
      };
      Status status = watch->Play(key, look);
      measured[static_cast<size_t>(i)] = meter.scores();
      return status;
    });
  };
  const Status status =
      RunParallelJobs(static_cast<int>(left.size()), options.threads, begin, progress);
  if (!status.ok()) return status;
  return measured;
}

}  // namespace kvla

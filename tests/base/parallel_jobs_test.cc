// SPDX-License-Identifier: Apache-2.0
#include "base/parallel_jobs.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

namespace kvla {
namespace {

TEST(RunParallelJobs, EveryJobIsDoneOnceByJobsOfTheThreadsOwn) {
  for (const int threads : {1, 4}) {
    std::vector<std::atomic<int>> done(50);
    std::atomic<int> begun = 0;
    std::atomic<bool> elsewhere = false;
    std::vector<int> shown;
    const Status status = RunParallelJobs(
        50, threads,
        [&]() -> Result<Job> {
          ++begun;
          return Job([&, mine = std::this_thread::get_id()](int i) -> Status {
            if (mine != std::this_thread::get_id()) elsewhere = true;
            ++done[i];
            return {};
          });
        },
        [&](int i, int total) {
          EXPECT_EQ(total, 50);
          shown.push_back(i);
          return true;
        });
    ASSERT_TRUE(status.ok()) << status.message();
    for (const auto& times : done) EXPECT_EQ(times, 1);
    EXPECT_EQ(begun, threads);
    EXPECT_FALSE(elsewhere);
    EXPECT_EQ(shown.size(), 51U);
    EXPECT_EQ(shown.back(), 50);
    EXPECT_TRUE(std::is_sorted(shown.begin(), shown.end()));
  }
}

TEST(RunParallelJobs, TheFirstErrorEndsItAndSoDoesProgress) {
  std::atomic<int> done = 0;
  const auto begin = [&]() -> Result<Job> {
    return Job([&](int i) { return i == 3 ? BadInput("job 3") : (++done, Status()); });
  };
  EXPECT_EQ(RunParallelJobs(100, 2, begin, {}).message(), "job 3");
  EXPECT_LT(done, 100);
  done = 0;
  EXPECT_EQ(RunParallelJobs(100, 1, begin, [](int i, int) { return i < 2; }).code(),
            StatusCode::kCancelled);
  EXPECT_EQ(done, 2);
  EXPECT_EQ(RunParallelJobs(100, 2, []() -> Result<Job> { return BadInput("no"); }, {}).message(),
            "no");
  EXPECT_TRUE(RunParallelJobs(0, 3, begin, {}).ok());
}

}  // namespace
}  // namespace kvla

// SPDX-License-Identifier: Apache-2.0
#include "results/report/comparable.h"

#include <gtest/gtest.h>

#include <vector>

namespace kvla {
namespace {

std::string Why(const RunMeta& a) { return WhyNotComparable(std::vector<RunMeta>{a}); }
std::string Why(const RunMeta& a, const RunMeta& b) {
  return WhyNotComparable(std::vector<RunMeta>{a, b});
}

TEST(Comparable, OneWorkerAllTheTimeOnACoreOfItsOwn) {
  EXPECT_EQ(Why({{"workers", "1"}, {"pinned", "yes"}}), "");
  EXPECT_EQ(Why({{"workers", "1"}}), "") << "before it was recorded one worker was pinned";
  EXPECT_EQ(Why({{"workers", "1"}, {"pinned", "no"}}), "the worker was not pinned to a core");
  EXPECT_EQ(Why({{"workers", "1"}, {"pinned", "yes | no"}}), "the worker was not pinned to a core");
  EXPECT_EQ(Why({{"workers", "2"}, {"pinned", "no"}}), "measured with 2 workers");
  EXPECT_EQ(Why({{"workers", "1 | 2"}}), "measured with 1 and 2 workers");
  EXPECT_EQ(Why({{"workers", "1"}, {"batch", "1"}}), "");
  EXPECT_EQ(Why({{"workers", "1"}, {"batch", "1 | 4"}}),
            "measured while a worker stepped 1 and 4 episodes at a time");
  EXPECT_EQ(Why({}), "measured with an unknown number of workers");
}

TEST(Comparable, OneMachineWithOneSetOfKernels) {
  const RunMeta base = {{"workers", "1"}, {"cpu", "x"}, {"cpu_kernels", "AVX2"}, {"device", "cpu"}};
  EXPECT_EQ(Why(base, base), "");
  RunMeta other = base;
  other["cpu_kernels"] = "AVX512";
  EXPECT_EQ(Why(base, other), "several sets of CPU kernels: AVX2 and AVX512");
  other["cpu"] = "y | x";
  EXPECT_EQ(Why(base, other),
            "several CPUs: x and y; several sets of CPU kernels: AVX2 and AVX512");
  EXPECT_EQ(Why(other), "several CPUs: y and x");
  other = base;
  other["device"] = "cuda";
  EXPECT_EQ(Why(base, other), "several devices: cpu and cuda");
  other = base;
  other["workers"] = "4";
  EXPECT_EQ(Why(base, other), "measured with 1 and 4 workers") << "one of the runs suffices";
}

}  // namespace
}  // namespace kvla

// SPDX-License-Identifier: Apache-2.0
#include "harness/workers/core_lock.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <set>
#include <string>
#include <vector>

namespace kvla {
namespace {

std::string Group() { return "kvla_core_lock_test_" + std::to_string(getpid()); }

TEST(CoreLock, EachCoreIsTakenOnceAndTheLastOneFirst) {
  cpu_set_t allowed;
  ASSERT_EQ(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
  std::vector<CoreLock> locks;
  std::set<int> cores;
  int last = CPU_SETSIZE;
  while (std::optional<CoreLock> lock = CoreLock::Take(Group())) {
    EXPECT_TRUE(CPU_ISSET(lock->core(), &allowed));
    EXPECT_LT(lock->core(), last);
    last = lock->core();
    cores.insert(last);
    locks.push_back(*std::move(lock));
    ASSERT_LE(cores.size(), static_cast<size_t>(CPU_COUNT(&allowed)));
  }
  EXPECT_EQ(cores.size(), static_cast<size_t>(CPU_COUNT(&allowed)));
  const int freed = locks.back().core();
  locks.pop_back();
  const std::optional<CoreLock> again = CoreLock::Take(Group());
  ASSERT_TRUE(again);
  EXPECT_EQ(again->core(), freed);
}

TEST(CoreLock, IsFreeOnceItsProcessIsKilled) {
  const std::string group = Group();
  const std::optional<CoreLock> expected = CoreLock::Take(group + "x");
  ASSERT_TRUE(expected);
  const pid_t child = fork();
  if (child == 0) {
    const std::optional<CoreLock> lock = CoreLock::Take(group);
    raise(SIGKILL);
  }
  waitpid(child, nullptr, 0);
  const std::optional<CoreLock> lock = CoreLock::Take(group);
  ASSERT_TRUE(lock);
  EXPECT_EQ(lock->core(), expected->core());
}

}  // namespace
}  // namespace kvla

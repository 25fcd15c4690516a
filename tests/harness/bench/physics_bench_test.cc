// SPDX-License-Identifier: Apache-2.0
#include "harness/bench/physics_bench.h"

#include <gtest/gtest.h>

#include "tasks/task_list.h"

namespace kvla {
namespace {

TEST(PhysicsBench, BothLoopsPlayTheSamePhysics) {
  for (const std::string& name : TaskNames()) {
    Result<std::unique_ptr<Task>> task = MakeTask(name, KVLA_ASSET_ROOT);
    ASSERT_TRUE(task.ok()) << task.status().message();
    const Result<PhysicsBench> bench = BenchPhysics(**task, 40, 0.0);
    ASSERT_TRUE(bench.ok()) << bench.status().message();
    EXPECT_TRUE(bench->same_end) << name;
    EXPECT_GT(bench->bare_steps_per_s, 0) << name;
    EXPECT_GT(bench->world_steps_per_s, 0) << name;
  }
}

}  // namespace
}  // namespace kvla

// SPDX-License-Identifier: Apache-2.0
#include "harness/transplant/transplant.h"

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "base/parallel_jobs.h"
#include "harness/eval/runner.h"
#include "harness/transplant/transplant_trial.h"
#include "tasks/task_list.h"

namespace kvla {
namespace {

using Tasks = std::map<std::string, std::unique_ptr<Task>>;

Result<Tasks> TasksOf(const TransplantPlan& plan) {
  Tasks tasks;
  for (const RunTask& named : plan.config.tasks) {
    Result<std::unique_ptr<Task>> task =
        MakeTask(named.name, plan.run.asset_root, plan.config.suite);
    if (!task.ok()) return task.status();
    tasks[named.name] = *std::move(task);
  }
  return tasks;
}

}  // namespace

std::vector<EpisodeJob> MissingJobs(const TransplantPlan& plan, const TransplantLog& log) {
  std::vector<EpisodeJob> missing;
  for (const EpisodeJob& job : plan.run.jobs) {
    const std::string& arm = plan.config.arms[static_cast<size_t>(job.arm)].name;
    if (!log.Has(arm, job)) missing.push_back(job);
  }
  return missing;
}

Status RunTransplant(const TransplantPlan& plan, const std::vector<EpisodeJob>& jobs, int threads,
                     const std::function<bool(int, int)>& progress, TransplantLog* log) {
  const Result<Tasks> tasks = TasksOf(plan);
  if (!tasks.ok()) return tasks.status();
  std::mutex mutex;  // guards log
  const auto begin = [&]() -> Result<Job> {
    Result<std::unique_ptr<EpisodeRunner>> made = EpisodeRunner::Create(plan.run, {});
    if (!made.ok()) return made.status();
    return Job([&, runner = std::shared_ptr<EpisodeRunner>(*std::move(made))](int i) -> Status {
      const EpisodeJob& job = jobs[static_cast<size_t>(i)];
      const Result<TransplantTrial> trial =
          RunTransplantTrial(plan, job, *tasks->at(job.task), runner.get());
      if (!trial.ok()) return trial.status();
      const std::lock_guard<std::mutex> lock(mutex);
      return log->Add(*trial);
    });
  };
  return RunParallelJobs(static_cast<int>(jobs.size()), threads, begin, progress);
}

}  // namespace kvla

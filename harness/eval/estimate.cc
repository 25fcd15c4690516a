// SPDX-License-Identifier: Apache-2.0
#include "harness/eval/estimate.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "harness/eval/eval_worker.h"
#include "results/store/run_store.h"
#include "results/trace/record_codec.h"

namespace kvla {
namespace {

constexpr int kTrialInferences = 30;
constexpr double kRowBytes = 3000;  // of an episode, beside its trace

// What a control step of one task costs.
struct StepCost {
  double seconds = 0, bytes = 0;
};

class TrialClient : public PoolClient {
 public:
  TrialClient(std::vector<EpisodeJob> trials, TraceLevel level)
      : trials_(std::move(trials)), level_(level) {}
  std::optional<Message> NextJob() override {
    if (next_ == trials_.size()) return std::nullopt;
    return EvalJobMessage(trials_[next_++]);
  }
  Status OnProgress(const Message&, const Message&) override { return {}; }
  Status OnDone(const Message& job, const Message& body) override {
    const Result<EpisodeRecord> record = RecordFromCbor(body.at("record").get_binary());
    if (!record.ok()) return record.status();
    const double steps = std::max(1, record->end.steps);
    const size_t bytes =
        PackInferences(record->inferences, level_).size() + PackSteps(record->steps, level_).size();
    costs_[EvalJobFrom(job).task] = {record->end.wall_s / steps,
                                     static_cast<double>(bytes) / steps};
    return {};
  }
  Status OnLost(const Message&, const std::string& why) override { return InternalError(why); }
  void OnTick() override {}
  const StepCost& cost(const std::string& task) const { return costs_.at(task); }

 private:
  std::vector<EpisodeJob> trials_;
  TraceLevel level_;
  size_t next_ = 0;
  std::map<std::string, StepCost> costs_;
};

// Episodes that the folder holds already.
Result<std::set<EpisodeId>> DoneIn(const std::filesystem::path& out) {
  const Result<bool> exists = RunStore::Exists(out);
  if (!exists.ok()) return exists.status();
  if (!*exists) return std::set<EpisodeId>();
  const Result<RunStore> store = RunStore::Open(out, RunStore::Mode::kReadOnly);
  if (!store.ok()) return store.status();
  return store->Done();
}

}  // namespace

Result<RunEstimate> EstimateRun(const RunPlan& plan, const EvaluationOptions& options) {
  const Result<TraceLevel> level = ParseTraceLevel(plan.config.trace);
  if (!level.ok()) return level.status();
  const Result<std::set<EpisodeId>> done = DoneIn(options.out);
  if (!done.ok()) return done.status();
  std::map<std::string, EpisodeJob> longest;  // by task
  std::vector<const EpisodeJob*> left;
  for (const EpisodeJob& job : plan.jobs) {
    const std::string& arm = plan.config.arms[static_cast<size_t>(job.arm)].name;
    if (done->contains({arm, job.task, job.delay, job.seed})) continue;
    left.push_back(&job);
    EpisodeJob& trial = longest[job.task];
    if (job.horizon_steps > trial.horizon_steps) trial = job;
  }
  std::vector<EpisodeJob> trials;
  for (auto& [task, trial] : longest) {
    trial.arm = 0;
    trial.max_inferences = kTrialInferences;
    trials.push_back(trial);
  }
  PoolOptions pool;
  pool.job_limit_s = plan.config.episode_limit_s;
  pool.setup = EvalSetup(plan);
  pool.cancel = options.cancel;
  TrialClient client(std::move(trials), *level);
  if (Status status = RunPool(options.command, pool, &client); !status.ok()) return status;

  RunEstimate estimate;
  for (const EpisodeJob* job : left) {
    const StepCost& cost = client.cost(job->task);
    ++estimate.episodes;
    estimate.control_steps += job->horizon_steps;
    estimate.seconds += cost.seconds * job->horizon_steps / options.workers;
    estimate.bytes += cost.bytes * job->horizon_steps + kRowBytes;
  }
  return estimate;
}

}  // namespace kvla

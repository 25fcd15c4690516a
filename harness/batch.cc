#include "harness/batch.h"

#include <fmt/format.h>

#include <chrono>
#include <ctime>
#include <set>
#include <utility>

#include "base/config_io.h"
#include "base/files.h"
#include "base/machine.h"
#include "base/version.h"
#include "harness/progress.h"
#include "harness/runner.h"
#include "results/record_codec.h"
#include "results/run_store.h"

namespace kvla {
namespace {

std::string UtcNow() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  char text[32];
  std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text;
}

RunMeta Identity(const RunPlan& plan, const BatchOptions& options) {
  return {{"config", PrintConfig(plan.config)},
          {"config_hash", ConfigHash(plan.config)},
          {"checkpoint_hash", options.checkpoint_hash}};
}

RunMeta Facts(const RunPlan& plan, const BatchOptions& options) {
  nlohmann::json arms = nlohmann::json::array();
  for (const RunArm& arm : plan.config.arms) arms.push_back(arm.name);
  return {{"version", std::string(Version())},
          {"commit", std::string(GitCommit())},
          {"cpu", ReadMachineFacts().CpuLine()},
          {"device", plan.config.device},
          {"started", UtcNow()},
          {"workers", std::to_string(options.workers)},
          {"arms", arms.dump()}};
}

EpisodeId IdOf(const RunPlan& plan, const EpisodeJob& job) {
  return {plan.config.arms[static_cast<size_t>(job.arm)].name, job.task, job.delay, job.seed};
}

class BatchClient : public PoolClient {
 public:
  BatchClient(const RunPlan& plan, RunStore* store, std::vector<EpisodeJob> jobs, int errors,
              TraceLevel level, bool quiet)
      : plan_(plan),
        store_(store),
        jobs_(std::move(jobs)),
        errors_(errors),
        level_(level),
        quiet_(quiet),
        total_(static_cast<double>(plan.jobs.size())),
        done_(total_),
        bar_("eval", total_, Remaining()) {}

  std::optional<Message> NextJob() override {
    if (next_ == jobs_.size()) return std::nullopt;
    return EvalJobMessage(jobs_[next_++]);
  }
  Status OnProgress(const Message&, const Message&) override { return {}; }
  Status OnDone(const Message& job, const Message& body) override {
    const auto& bytes = body.at("record").get_binary();
    Result<EpisodeRecord> record = RecordFromCbor(bytes);
    if (!record.ok()) return record.status();
    if (!gl_known_) {
      gl_known_ = true;
      const std::string gl = body.value("gl_renderer", "");
      if (Status status = store_->PutMeta("gl_renderer", gl); !status.ok()) return status;
    }
    return Keep(EvalJobFrom(job), *record);
  }
  Status OnLost(const Message& message, const std::string& why) override {
    const EpisodeJob job = EvalJobFrom(message);
    const Result<EpisodeRecord> record = LostRecord(plan_, job, why);
    return record.ok() ? Keep(job, *record) : record.status();
  }
  void OnTick() override {
    if (!quiet_) bar_.Update(done_, errors_ > 0 ? fmt::format("({} errors)", errors_) : "");
  }
  void Finish() {
    if (!quiet_) bar_.Finish();
  }
  int errors() const { return errors_; }

 private:
  // Weight that earlier calls did.
  double Remaining() {
    for (const EpisodeJob& job : jobs_) done_ -= job.weight;
    return done_;
  }
  Status Keep(const EpisodeJob& job, const EpisodeRecord& record) {
    if (Status status = store_->WriteEpisode(record, level_); !status.ok()) return status;
    done_ += job.weight;
    if (record.end.outcome == "error") {
      ++errors_;
      if (!quiet_) bar_.Clear();
      fmt::print(stderr, "kvla: error: {}: {}\n", ToString(record.end.id), record.end.error);
    }
    OnTick();
    return {};
  }

  const RunPlan& plan_;
  RunStore* store_;
  std::vector<EpisodeJob> jobs_;
  size_t next_ = 0;
  int errors_;
  TraceLevel level_;
  bool quiet_;
  bool gl_known_ = false;
  double total_, done_;
  ProgressBar bar_;
};

bool HasRun(const std::filesystem::path& out) {
  std::error_code error;
  return std::filesystem::exists(out / kRunFile, error);
}

}  // namespace

Result<int> CheckBatch(const RunPlan& plan, const BatchOptions& options) {
  if (Status status = CheckFolderWritable(options.out); !status.ok()) return status;
  if (!HasRun(options.out)) return 0;
  Result<RunStore> store = RunStore::Open(options.out, RunStore::Mode::kReadOnly);
  if (!store.ok()) return store.status();
  if (Status status = store->CheckMeta(Identity(plan, options)); !status.ok()) return status;
  const Result<std::set<EpisodeId>> done = store->Done();
  if (!done.ok()) return done.status();
  return static_cast<int>(done->size());
}

Result<BatchSummary> RunBatch(const RunPlan& plan, const BatchOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  if (Result<int> checked = CheckBatch(plan, options); !checked.ok()) return checked.status();
  const Result<TraceLevel> level = ParseTraceLevel(plan.config.trace);
  if (!level.ok()) return level.status();
  Result<RunStore> store =
      RunStore::OpenOrCreate(options.out, Identity(plan, options), Facts(plan, options));
  if (!store.ok()) return store.status();
  Result<std::vector<EpisodeRow>> rows = store->Episodes();
  if (!rows.ok()) return rows.status();
  std::set<EpisodeId> done;
  int errors = 0;
  for (const EpisodeRow& row : *rows) {
    done.insert(row.id);
    errors += row.is_error() ? 1 : 0;
  }
  std::vector<EpisodeJob> jobs;
  for (const EpisodeJob& job : plan.jobs) {
    if (!done.contains(IdOf(plan, job))) jobs.push_back(job);
  }
  BatchSummary summary;
  summary.episodes = static_cast<int>(plan.jobs.size());
  summary.resumed = static_cast<int>(plan.jobs.size() - jobs.size());
  summary.errors = errors;
  if (jobs.empty()) return summary;

  PoolOptions pool;
  pool.workers = std::min<int>(options.workers, static_cast<int>(jobs.size()));
  pool.pin_single = options.workers == 1;
  pool.job_limit_s = plan.config.episode_limit_s;
  pool.setup = EvalSetup(plan);
  pool.cancel = options.cancel;
  BatchClient client(plan, &*store, std::move(jobs), errors, *level, options.quiet);
  const Status status = RunPool(options.command, pool, &client);
  client.Finish();
  if (!status.ok()) return status;
  summary.errors = client.errors();
  summary.wall_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return summary;
}

}  // namespace kvla

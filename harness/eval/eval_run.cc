// SPDX-License-Identifier: Apache-2.0
#include "harness/eval/eval_run.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <utility>

#include "base/config_io.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/json_text.h"
#include "base/machine.h"
#include "base/streams.h"
#include "base/text.h"
#include "base/utc.h"
#include "base/version.h"
#include "harness/eval/cue_ranges.h"
#include "harness/eval/eval_worker.h"
#include "harness/eval/ledger.h"
#include "harness/eval/measuring_conditions.h"
#include "harness/eval/runner.h"
#include "harness/workers/core_lock.h"
#include "harness/workers/progress.h"
#include "kv_efficient/methods/method_table.h"
#include "results/report/no_success.h"
#include "results/store/run_store.h"
#include "results/trace/record_codec.h"
#include "results/video/video_rule.h"
#include "tensors/torch_version.h"

namespace kvla {
namespace {

bool KeepsAll(const CacheConfig& cache) {
  const CacheMethod* method = FindCacheMethod(cache.policy);
  return method != nullptr && method->keeps_all;
}

// Whom to compare each arm with whose clock does not wait: the arm that differs from it in nothing
// but that ("twin"), and the full cache under the same clock ("full").
nlohmann::json ClockedArms(const RunPlan& plan) {
  nlohmann::json clocked = nlohmann::json::object();
  for (const RunArm& arm : plan.config.arms) {
    if (arm.clock.kind == "frozen") continue;
    nlohmann::json& entry = clocked[arm.name];
    entry = {{"control_rate_hz", arm.clock.control_rate_hz}, {"twin", ""}, {"full", ""}};
    for (const RunArm& other : plan.config.arms) {
      if (entry["twin"] == "" && other.clock.kind == "frozen" &&
          PrintConfig(other.cache) == PrintConfig(arm.cache)) {
        entry["twin"] = other.name;
      }
      if (entry["full"] == "" && other.name != arm.name && KeepsAll(other.cache) &&
          PrintConfig(other.clock) == PrintConfig(arm.clock)) {
        entry["full"] = other.name;
      }
    }
  }
  return clocked;
}

RunMeta Facts(const RunPlan& plan, const EvaluationOptions& options, bool pinned) {
  nlohmann::json arms = nlohmann::json::array();
  for (const RunArm& arm : plan.config.arms) arms.push_back(arm.name);
  RunMeta facts = {{"cpu", ReadMachineFacts().CpuLine()},
                   {"cpu_kernels", TorchCpuKernels()},
                   {"device", plan.config.device},
                   {"started", UtcNow()},
                   {"workers", std::to_string(options.workers)},
                   {"batch", std::to_string(options.batch)},
                   {"pinned", pinned ? "yes" : "no"},
                   {"arms", JsonText(arms)},
                   {"planned", std::to_string(plan.planned)},
                   {"clocked_arms", JsonText(ClockedArms(plan))},
                   {"cue_ranges", JsonText(CueRanges(plan))}};
  if (plan.random_weights) facts[kWeightsKey] = kRandomWeights;
  facts["run_id"] = HashHex(
      fmt::format("{} {} {}", facts["started"], getpid(), AbsolutePath(options.out).string()));
  facts["protocol"] = JsonText(MeasuringConditionsOf(plan, facts));
  return facts;
}

// A run that goes on with other workers or elsewhere says so: its latencies are not comparable, and
// another CPU, or other kernels on it, may differ in the last bits.
// `fresh`: no episode has ended yet, so that what an earlier call planned counts for nothing.
Status NoteChanges(const RunPlan& plan, const RunMeta& facts, bool fresh, RunStore* store) {
  Result<RunMeta> meta = store->Meta();
  if (!meta.ok()) return meta.status();
  RunMeta now = facts;
  bool changed = false;
  for (const char* key : {"workers", "batch", "pinned", "cpu", "cpu_kernels"}) {
    const std::string was = (*meta)[key];
    now[key] = WithListed(fresh ? "" : was, now[key]);
    if (now[key] == was) continue;
    changed = true;
    if (!fresh && std::string_view(key) != "pinned") {
      Say("kvla: warning: the run goes on with other {}: {}\n", key, now[key]);
    }
    if (Status status = store->PutMeta(key, now[key]); !status.ok()) return status;
  }
  if (!changed) return {};
  return store->PutMeta("protocol", JsonText(MeasuringConditionsOf(plan, now)));
}

// The program in one word. Of a build with changes the commit says too little: the program's own
// bytes tell two of them apart.
std::string BuildName() {
  const std::string commit(GitCommit());
  if (!commit.ends_with("-dirty") && commit != "unknown") return commit;
  const Result<std::string> program = HashFileHex("/proc/self/exe");
  return program.ok() ? commit + "+" + *program : commit;
}

// What latencies the clocks take from other runs; empty when none does.
std::string RecordedHash(const RunPlan& plan) {
  std::string all;
  for (size_t i = 0; i < plan.recorded_ms.size(); ++i) {
    for (const double ms : plan.recorded_ms[i]) all += fmt::format("{}:{};", i, ms);
  }
  return all.empty() ? "" : HashHex(all);
}

EpisodeId IdOf(const RunPlan& plan, const EpisodeJob& job) {
  return {plan.config.arms[static_cast<size_t>(job.arm)].name, job.task, job.delay, job.seed};
}

// The resident sets of the workers of one call.
class WorkerMemory {
 public:
  // The episode from which on a worker has to keep its size: by then it has loaded everything.
  static constexpr int kSettled = 100;

  void Add(const Message& body) {
    Worker& worker = workers_[body.value("pid", 0)];
    worker.last = body.value("resident_bytes", int64_t{0});
    worker.peak = std::max(worker.peak, body.value("peak_bytes", int64_t{0}));
    if (++worker.episodes <= kSettled) worker.settled = worker.last;
  }
  double Growth() const {
    double growth = -1;
    for (const auto& [pid, worker] : workers_) {
      if (worker.episodes <= kSettled || worker.settled == 0) continue;
      growth = std::max(growth,
                        static_cast<double>(worker.last) / static_cast<double>(worker.settled) - 1);
    }
    return growth;
  }
  int64_t Peak() const {
    int64_t peak = 0;
    for (const auto& [pid, worker] : workers_) peak = std::max(peak, worker.peak);
    return peak;
  }
  // For the run's "memory".
  std::string Text() const {
    nlohmann::json list = nlohmann::json::array();
    for (const auto& [pid, worker] : workers_) {
      list.push_back({{"episodes", worker.episodes},
                      {"resident_bytes_settled", worker.settled},
                      {"resident_bytes_last", worker.last},
                      {"peak_bytes", worker.peak}});
    }
    return JsonText(nlohmann::json{{"workers", list},
                                   {"parent_resident_bytes", ReadMemoryUse().resident_bytes}});
  }

 private:
  struct Worker {
    int episodes = 0;
    int64_t settled = 0, last = 0, peak = 0;
  };
  std::map<int, Worker> workers_;  // by process id
};

class BatchClient : public PoolClient {
 public:
  BatchClient(const RunPlan& plan, RunStore* store, std::vector<EpisodeJob> jobs,
              std::vector<EpisodeRow> rows, int errors, TraceLevel level, ProgressStyle style)
      : plan_(plan),
        store_(store),
        jobs_(std::move(jobs)),
        stop_plan_(StopPlanOf(plan)),
        rows_(std::move(rows)),
        errors_(errors),
        level_(level),
        total_(TotalWeight(plan)),
        done_(total_),
        bar_(style, "eval", total_, Remaining()) {}

  std::optional<Message> NextJob() override {
    if (next_ == jobs_.size() || stop_.stop) return std::nullopt;
    return EvalJobMessage(jobs_[next_++]);
  }
  Status OnProgress(const Message&, const Message&) override { return {}; }
  Status OnDone(const Message& job, const Message& body) override {
    const auto& bytes = body.at("record").get_binary();
    Result<EpisodeRecord> record = RecordFromCbor(bytes);
    if (!record.ok()) return record.status();
    if (stop_.stop && record->end.id.seed > LastSeed()) return {};  // not of the run any more
    if (body.contains("video")) {
      record->video = VideoFile(record->end.id);
      const auto& video = body.at("video").get_binary();
      if (Status status = KeepVideo(record->video, video); !status.ok()) return status;
    }
    memory_.Add(body);
    if (++ended_ % kMemoryEvery == 0) {
      if (Status status = KeepMemory(); !status.ok()) return status;
    }
    if (!gl_known_) {
      gl_known_ = true;
      if (Status status = KeepRenderer(body.value("gl_renderer", "")); !status.ok()) return status;
    }
    return Keep(EvalJobFrom(job), *record);
  }
  Status OnLost(const Message& message, const std::string& why) override {
    const EpisodeJob job = EvalJobFrom(message);
    const Result<EpisodeRecord> record = LostRecord(plan_, job, why);
    return record.ok() ? Keep(job, *record) : record.status();
  }
  void OnTick() override {
    bar_.Update(done_, errors_ > 0 ? fmt::format("({} errors)", errors_) : "");
  }
  void OnPause(double seconds) override { bar_.LeaveOut(seconds); }
  void Finish() { bar_.Finish(); }
  // Looks whether 'stop_when' holds; what it rests on is kept with the run.
  Status LookForStop() {
    if (plan_.config.stop_when.rule == "never" || stop_.stop) return {};
    stop_ = DecideStop(plan_.config.stop_when, stop_plan_, rows_);
    if (!stop_.stop) return {};
    // What ended already with a later seed is not of the run: else the number of workers would
    // show.
    if (Result<int> dropped = store_->DropFrom(LastSeed() + 1); !dropped.ok()) {
      return dropped.status();
    }
    const nlohmann::json stopped = {{"episodes", stop_.episodes}, {"statements", stop_.statements}};
    return store_->PutMeta("stopped", JsonText(stopped));
  }
  const StopDecision& stop() const { return stop_; }
  Status KeepMemory() { return store_->PutMeta("memory", memory_.Text()); }
  int errors() const { return errors_; }
  int64_t control_steps() const { return control_steps_; }
  const WorkerMemory& memory() const { return memory_; }

 private:
  static constexpr int kMemoryEvery = 50;  // episodes

  static double TotalWeight(const RunPlan& plan) {
    double total = 0;
    for (const EpisodeJob& job : plan.jobs) total += job.weight;
    return total;
  }
  // Weight that earlier calls did.
  double Remaining() {
    for (const EpisodeJob& job : jobs_) done_ -= job.weight;
    done_ = std::max(done_, 0.0);  // the weights are fractions
    return done_;
  }
  int64_t LastSeed() const { return stop_plan_.first_episode + stop_.episodes - 1; }
  // Another renderer than before draws other images.
  Status KeepRenderer(const std::string& gl) {
    Result<RunMeta> meta = store_->Meta();
    if (!meta.ok()) return meta.status();
    const std::string was = (*meta)["gl_renderer"], now = WithListed(was, gl);
    if (was == now) return {};
    if (!was.empty()) {
      Say("kvla: warning: the run goes on with another renderer: {}\n", now);
    }
    return store_->PutMeta("gl_renderer", now);
  }
  // Before its episode's row: a row never names a file that is not there, whole.
  Status KeepVideo(const std::string& file, std::span<const uint8_t> bytes) {
    const std::filesystem::path path = store_->folder() / file;
    std::error_code error;
    std::filesystem::create_directories(path.parent_path(), error);
    if (error) return IoError(path.parent_path().string() + ": " + error.message());
    return WriteFileAtomic(path, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  }
  Status Keep(const EpisodeJob& job, const EpisodeRecord& record) {
    if (stop_.stop && job.seed > LastSeed()) return {};
    if (Status status = store_->WriteEpisode(record, level_); !status.ok()) return status;
    done_ += job.weight;
    control_steps_ += record.end.steps;
    if (plan_.config.stop_when.rule != "never") {
      EpisodeRow row;
      row.id = record.end.id;
      row.outcome = record.end.outcome;
      row.success = record.end.success;
      rows_.push_back(std::move(row));
      // A look for every seed on average is enough: a decision rests on whole seeds.
      if (rows_.size() % (stop_plan_.arms.size() * stop_plan_.cells.size()) == 0) {
        if (Status status = LookForStop(); !status.ok()) return status;
      }
    }
    if (record.end.outcome == "error") {
      ++errors_;
      bar_.Clear();
      Say("kvla: error: {}\n", PrintableLine(ToString(record.end.id) + ": " + record.end.error));
    }
    OnTick();
    return {};
  }

  const RunPlan& plan_;
  RunStore* store_;
  std::vector<EpisodeJob> jobs_;
  size_t next_ = 0;
  StopPlan stop_plan_;
  std::vector<EpisodeRow> rows_;  // that ended, for stop_
  StopDecision stop_;
  int errors_;
  TraceLevel level_;
  bool gl_known_ = false;
  int ended_ = 0;
  int64_t control_steps_ = 0;
  WorkerMemory memory_;
  double total_, done_;
  ProgressBar bar_;
};

// A look at the evaluation split is written down; a ledger that cannot be written loses no run.
void KeepInLedger(const RunPlan& plan, const EvaluationOptions& options, const RunStore& store,
                  bool finished) {
  if (options.ledger.empty() || plan.config.split != "evaluation") return;
  const Result<nlohmann::json> line = LedgerLine(plan, store, finished);
  const Status status = line.ok() ? AppendLedger(options.ledger, *line) : line.status();
  if (!status.ok()) {
    Say("kvla: warning: the ledger was not written: {}\n", status.message());
  }
}

}  // namespace

namespace {

// Takes out the episodes that ended in an error, so that they are run again.
Status DropErrors(RunStore* store) {
  const Result<int> dropped = store->DropErrors();
  if (!dropped.ok()) return dropped.status();
  if (*dropped == 0) {
    Say("no errors to redo\n");
    return {};
  }
  Say("{} episode{} that ended in an error: run again\n", *dropped, *dropped == 1 ? "" : "s");
  // Whether the run may stop is decided anew.
  return store->PutMeta("stopped", "");
}

}  // namespace

RunMeta RunIdentity(const RunPlan& plan, const std::string& checkpoint_hash) {
  return {{"config", PrintConfig(plan.config)},
          {"config_hash", ConfigHash(plan.config)},
          {"checkpoint_hash", checkpoint_hash},
          {"version", std::string(Version())},
          {"commit", BuildName()},
          {"assets_hash", plan.assets_hash},
          {"recorded_hash", RecordedHash(plan)},
          {"shard", plan.shard}};
}

Result<int> CheckEvaluation(const RunPlan& plan, const EvaluationOptions& options) {
  for (const RunArm& arm : plan.config.arms) {
    if (options.batch > 1 && arm.clock.kind == "wall") {
      return BadInput(fmt::format(
          "arm '{}': its clock measures how long the policy takes for one episode: use a batch of 1",
          arm.name));
    }
  }
  if (Status status = CheckFolderWritable(options.out); !status.ok()) return status;
  const Result<bool> exists = RunStore::Exists(options.out);
  if (!exists.ok()) return exists.status();
  if (!*exists) return 0;
  Result<RunStore> store = RunStore::Open(options.out, RunStore::Mode::kReadOnly);
  if (!store.ok()) return store.status();
  const Status same = store->CheckMeta(RunIdentity(plan, options.checkpoint_hash));
  if (!same.ok()) return same;
  const Result<std::set<EpisodeId>> done = store->Done();
  if (!done.ok()) return done.status();
  return static_cast<int>(done->size());
}

// Opens or makes the run, takes out of the plan what is there, and gives the rest to a pool of
// workers whose records the client writes as they come. The stop rule looks at the rows before the
// first and after every episode; whatever ended is kept, however the pool ends.
Result<EvaluationSummary> RunEvaluation(const RunPlan& plan, const EvaluationOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  if (Result<int> checked = CheckEvaluation(plan, options); !checked.ok()) return checked.status();
  const Result<TraceLevel> level = ParseTraceLevel(plan.config.trace);
  if (!level.ok()) return level.status();
  const std::optional<CoreLock> core =
      options.workers == 1 ? CoreLock::Take(options.core_group) : std::optional<CoreLock>();
  const RunMeta facts = Facts(plan, options, core.has_value());
  Result<RunStore> store =
      RunStore::OpenOrCreate(options.out, RunIdentity(plan, options.checkpoint_hash), facts);
  if (!store.ok()) return store.status();
  if (options.redo_errors) {
    if (Status status = DropErrors(&*store); !status.ok()) return status;
  }
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
  EvaluationSummary summary;
  summary.episodes = static_cast<int>(plan.jobs.size());
  summary.resumed = static_cast<int>(plan.jobs.size() - jobs.size());
  summary.errors = errors;

  if (!jobs.empty()) {
    if (Status status = NoteChanges(plan, facts, done.empty(), &*store); !status.ok()) {
      return status;
    }
    if (options.workers == 1 && !core) {
      Say("kvla: warning: other kvla processes have taken every core for their workers: this "
          "worker runs on any core, and its latencies are not comparable\n");
    }
  }

  PoolOptions pool;
  pool.workers = std::min<int>(options.workers, static_cast<int>(jobs.size()));
  pool.slots = options.batch;
  if (core) pool.core = core->core();
  pool.job_limit_s = plan.config.episode_limit_s;
  pool.setup = EvalSetup(plan);
  pool.cancel = options.cancel;
  const bool nothing_left = jobs.empty();
  BatchClient client(plan, &*store, std::move(jobs), *std::move(rows), errors, *level,
                     options.progress);
  Status status = client.LookForStop();
  if (!status.ok()) return status;
  if (client.stop().stop) summary.stopped = client.stop().statements;
  if (nothing_left || client.stop().stop) return summary;
  // Before and after: what is killed in between has been looked at too.
  KeepInLedger(plan, options, *store, false);
  status = RunPool(options.command, pool, &client);
  client.Finish();
  if (status.ok()) status = client.LookForStop();
  if (status.ok()) status = client.KeepMemory();
  KeepInLedger(plan, options, *store, status.ok());
  if (!status.ok()) return status;
  summary.errors = client.errors();
  if (client.stop().stop) summary.stopped = client.stop().statements;
  summary.control_steps = client.control_steps();
  summary.memory_growth = client.memory().Growth();
  summary.peak_bytes = client.memory().Peak();
  summary.wall_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return summary;
}

}  // namespace kvla

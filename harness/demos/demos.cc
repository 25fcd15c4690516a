// SPDX-License-Identifier: Apache-2.0
#include "harness/demos/demos.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <tuple>
#include <utility>

#include "base/config_io.h"
#include "base/files.h"
#include "base/split_names.h"
#include "base/streams.h"
#include "base/temporary_file.h"
#include "base/writer_lock.h"
#include "harness/demos/demo_shard.h"
#include "harness/demos/demo_worker.h"
#include "harness/workers/progress.h"
#include "tasks/task_list.h"

namespace kvla {
namespace {

constexpr char kEvaluationDelay[] = "longer";

Status CheckDemosConfig(const DemosConfig& config, const std::filesystem::path& asset_root) {
  if (config.sets.empty()) return BadInput("'sets' is empty: nothing to demonstrate");
  if (config.suite.HeldOut()) {
    return BadInput("suite.layout is held_out: no policy may have seen those; record layout: seen");
  }
  for (size_t i = 0; i < config.sets.size(); ++i) {
    const DemoSet& set = config.sets[i];
    const std::string where = fmt::format("sets[{}]", i);
    if (Result<Split> split = ParseSplit(set.split); !split.ok()) return split.status().In(where);
    for (size_t j = 0; j < i; ++j) {
      const DemoSet& other = config.sets[j];
      if (std::tie(set.task, set.delay, set.split) !=
              std::tie(other.task, other.delay, other.split) ||
          set.first >= other.first + other.episodes || other.first >= set.first + set.episodes) {
        continue;
      }
      return BadInput(fmt::format(
          "sets[{}] and {} both list task '{}', delay '{}', split '{}' from episode {} on: an "
          "episode would be recorded twice; take one out, or set 'first'",
          j, where, set.task, set.delay, set.split, std::max(set.first, other.first)));
    }
    if (set.delay == kEvaluationDelay) {
      return BadInput(fmt::format("{}: delay '{}' is for evaluation alone, beyond what is trained",
                                  where, set.delay));
    }
    Result<std::unique_ptr<Task>> task = MakeTask(set.task, asset_root, config.suite);
    if (!task.ok()) return task.status().In(where);
    EpisodeKey key{Split::kTrain, 0, set.task, set.delay, 0};
    if (Result<Scenario> drawn = (*task)->Draw(key); !drawn.ok()) return drawn.status().In(where);
    Result<std::unique_ptr<World>> world = World::Load((*task)->scene());
    if (!world.ok()) return world.status();
    for (const std::string& camera : config.cameras) {
      if (Result<int> id = (*world)->CameraId(camera); !id.ok()) return id.status().In(where);
    }
  }
  return {};
}

Message JobOf(const DemoShard& shard, bool trial) {
  return {{"trial", trial},
          {"set", shard.set},
          {"first", shard.first},
          {"count", shard.count},
          {"path", shard.path.string()}};
}

// Measures one episode of every set.
class TrialClient : public PoolClient {
 public:
  explicit TrialClient(std::vector<DemoShard> trials) : trials_(std::move(trials)) {}
  std::optional<Message> NextJob() override {
    if (next_ == trials_.size()) return std::nullopt;
    return JobOf(trials_[next_++], true);
  }
  Status OnProgress(const Message&, const Message&) override { return {}; }
  Status OnDone(const Message& job, const Message& body) override {
    const int set = job.at("set").get<int>();
    bytes_[set] = body.at("bytes").get<double>();
    seconds_[set] = body.at("seconds").get<double>();
    return {};
  }
  Status OnLost(const Message&, const std::string& why) override { return InternalError(why); }
  void OnTick() override {}

  double bytes(int set) const { return bytes_.at(set); }
  double seconds(int set) const { return seconds_.at(set); }

 private:
  std::vector<DemoShard> trials_;
  size_t next_ = 0;
  std::map<int, double> bytes_, seconds_;
};

class ShardClient : public PoolClient {
 public:
  ShardClient(ProgressStyle style, std::vector<DemoShard> shards, double total_weight,
              std::map<int, double> weights, DemosSummary* summary)
      : shards_(std::move(shards)),
        bar_(style, "demos", total_weight),
        weights_(std::move(weights)),
        summary_(summary) {}
  std::optional<Message> NextJob() override {
    if (next_ == shards_.size()) return std::nullopt;
    return JobOf(shards_[next_++], false);
  }
  Status OnProgress(const Message& job, const Message& body) override {
    done_ += weights_[job.at("set").get<int>()];
    summary_->control_steps += body.at("steps").get<int64_t>();
    if (body.at("diverged").get<bool>()) {
      ++summary_->diverged;
    } else if (!body.at("recorded").get<bool>()) {
      ++summary_->failed;
    } else {
      ++summary_->episodes;
    }
    OnTick();
    return {};
  }
  Status OnDone(const Message&, const Message&) override { return {}; }
  Status OnLost(const Message& job, const std::string& why) override {
    return InternalError(fmt::format("{}: {}", job.at("path").get<std::string>(), why));
  }
  void OnTick() override {
    bar_.Update(done_, fmt::format("({} recorded, {} failed)", summary_->episodes,
                                   summary_->failed + summary_->diverged));
  }
  void OnPause(double seconds) override { bar_.LeaveOut(seconds); }
  void Finish() { bar_.Finish(); }

 private:
  std::vector<DemoShard> shards_;
  size_t next_ = 0;
  ProgressBar bar_;
  double done_ = 0;
  std::map<int, double> weights_;  // seconds an episode, by set
  DemosSummary* summary_;
};

}  // namespace

// What is missing is found first; then an episode of each set is recorded into a scratch folder,
// which tells the time and the disk that the rest will take; then a pool records shard by shard. A
// shard gets its name only when it is whole, so that a stop at any moment loses no more than one.
Result<DemosSummary> GenerateDemos(const DemosConfig& config, const DemosOptions& options) {
  if (Status status = CheckDemosConfig(config, options.asset_root); !status.ok()) return status;
  if (Status status = CheckFolderWritable(options.out); !status.ok()) return status;
  const auto start = std::chrono::steady_clock::now();
  // From before the look at what is missing to the last shard.
  std::optional<WriterLock> lock;
  if (!options.dry_run) {
    Result<WriterLock> taken = WriterLock::OfFolder(options.out);
    if (!taken.ok()) return taken.status();
    lock.emplace(*std::move(taken));
  }

  DemosSummary summary;
  std::vector<DemoShard> missing;
  std::map<int, int64_t> episodes;  // by set
  std::vector<DemoShard> planned = PlanShards(config, options.out);
  if (Status status = CheckOverlaps(planned); !status.ok()) return status;
  for (DemoShard& shard : planned) {
    ++summary.shards;
    Result<bool> complete = ShardComplete(config, shard);
    if (!complete.ok()) return complete.status();
    if (*complete) {
      ++summary.skipped_shards;
      continue;
    }
    episodes[shard.set] += shard.count;
    missing.push_back(std::move(shard));
  }
  if (missing.empty()) return summary;

  // The first episode of every set, in a scratch folder: what one takes in time and on the disk.
  std::optional<Result<TemporaryFolder>> scratch = TemporaryFolder::Make();
  if (!scratch->ok()) return scratch->status();
  std::vector<DemoShard> trials;
  for (const auto& [set, count] : episodes) {
    trials.push_back({set, static_cast<uint64_t>(config.sets[static_cast<size_t>(set)].first), 1,
                      (*scratch)->path() / fmt::format("set_{}.hdf5", set)});
  }
  PoolOptions pool;
  pool.workers = std::min<int>(options.workers, static_cast<int>(trials.size()));
  pool.setup = DemosSetup(config, options.asset_root);
  pool.cancel = options.cancel;
  TrialClient trial(trials);
  Status status = RunPool(options.command, pool, &trial);
  scratch.reset();
  std::error_code error;
  if (!status.ok()) return status;

  double bytes = 0, seconds = 0;
  int64_t total = 0;
  std::map<int, double> weights;
  for (const auto& [set, count] : episodes) {
    bytes += trial.bytes(set) * static_cast<double>(count);
    seconds += trial.seconds(set) * static_cast<double>(count);
    weights[set] = trial.seconds(set);
    total += count;
  }
  // The bar counts episodes, each weighed by what its set takes.
  for (auto& [set, weight] : weights) weight *= static_cast<double>(total) / seconds;
  summary.bytes_per_episode = bytes / static_cast<double>(total);
  Say("{} episodes in {} shards ({} of {} shards are there already): about {}, {}\n", total,
      missing.size(), summary.skipped_shards, summary.shards, BytesText(bytes),
      DurationText(seconds / options.workers));
  const std::filesystem::space_info space =
      std::filesystem::space(NearestExisting(options.out), error);
  if (!error && static_cast<double>(space.available) < bytes * 1.1) {
    return BadInput(fmt::format("{}: {} free, about {} needed", options.out.string(),
                                BytesText(static_cast<double>(space.available)), BytesText(bytes)));
  }
  if (options.dry_run) return summary;

  for (const DemoShard& shard : missing) {
    std::filesystem::create_directories(shard.path.parent_path(), error);
    if (error) {
      return IoError(fmt::format("{}: {}", shard.path.parent_path().string(), error.message()));
    }
  }
  pool.workers = std::min<int>(options.workers, static_cast<int>(missing.size()));
  ShardClient client(options.progress, missing, static_cast<double>(total), weights, &summary);
  status = RunPool(options.command, pool, &client);
  client.Finish();
  if (!status.ok()) {
    for (const DemoShard& shard : missing) {
      std::filesystem::path temporary = shard.path;
      temporary += ".tmp";
      std::filesystem::remove(temporary, error);
    }
    return status;
  }
  summary.wall_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return summary;
}

}  // namespace kvla

// SPDX-License-Identifier: Apache-2.0
#include "harness/demos/demo_worker.h"

#include <fmt/format.h>

#include <chrono>
#include <memory>
#include <utility>

#include "base/config_io.h"
#include "base/files.h"
#include "base/split_names.h"
#include "harness/demos/demo_shard.h"

namespace kvla {
namespace {

constexpr int kTrialTries = 20;

// Records one shard a job; keeps the world and GL context of the last task.
class DemoWorker {
 public:
  DemoWorker(DemosConfig config, std::filesystem::path asset_root)
      : config_(std::move(config)), asset_root_(std::move(asset_root)) {}

  Result<Message> Run(const Message& job, const SendProgress& progress) {
    const auto start = std::chrono::steady_clock::now();
    const bool trial = job.at("trial").get<bool>();
    DemoShard shard{job.at("set").get<int>(), job.at("first").get<uint64_t>(),
                    job.at("count").get<int>(), job.at("path").get<std::string>()};
    const DemoSet& set = config_.sets[static_cast<size_t>(shard.set)];
    if (Status status = Prepare(set.task); !status.ok()) return status;
    const auto prepared = std::chrono::steady_clock::now();
    const Result<Split> split = ParseSplit(set.split);
    if (!split.ok()) return split.status();
    const Result<Phrasing> phrasing = ParsePhrasing(config_.instructions);
    if (!phrasing.ok()) return phrasing.status();
    const Result<DisturbanceLevel> disturbance = ParseDisturbance(set.disturbance);
    if (!disturbance.ok()) return disturbance.status();

    Result<ShardWriter> writer = ShardWriter::Create(config_, shard, asset_root_);
    if (!writer.ok()) return writer.status();
    // A trial goes on to the first episode that succeeds: a failed one has no size.
    bool recorded = false;
    int64_t bytes = 0;
    for (int i = 0; trial ? !recorded && i < kTrialTries : i < shard.count; ++i) {
      const EpisodeKey key{*split, static_cast<uint64_t>(config_.seed), set.task, set.delay,
                           shard.first + static_cast<uint64_t>(i)};
      Result<DemoRecording> recording =
          recorder_->Record(key, config_.noise, *phrasing, driver_.get(), *disturbance);
      if (!recording.ok()) return recording.status();
      recorded = IsKept(*recording, config_);
      if (Status status = writer->Add(*recording); !status.ok()) return status;
      if (trial) continue;
      if (Status status = progress({{"steps", recording->steps},
                                    {"recorded", recorded},
                                    {"diverged", recording->diverged}});
          !status.ok()) {
        return status;
      }
    }
    if (trial) {
      if (!recorded) {
        writer->Abandon();
        return InternalError(fmt::format("{} {}: the expert failed {} times in a row", set.task,
                                         set.delay, kTrialTries));
      }
      Result<int64_t> size = writer->Bytes();
      if (!size.ok()) return size.status();
      bytes = *size;
      writer->Abandon();
    } else if (Status status = writer->Finish(); !status.ok()) {
      return status;
    }
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - prepared).count();
    const double setup_s = std::chrono::duration<double>(prepared - start).count();
    return Message{{"bytes", bytes}, {"seconds", seconds}, {"setup_s", setup_s}};
  }

 private:
  Status Prepare(const std::string& task) {
    if (task == task_) return {};
    recorder_.reset();
    Result<std::unique_ptr<DemoRecorder>> recorder =
        DemoRecorder::Create(task, asset_root_, config_.cameras, config_.image_size,
                             config_.replan_steps, config_.suite);
    if (!recorder.ok()) return recorder.status();
    recorder_ = *std::move(recorder);
    task_ = task;
    if (config_.driver.checkpoint.empty() || driver_ != nullptr) return {};
    Result<std::unique_ptr<DemoDriver>> driver = DemoDriver::Create(
        config_.driver, asset_root_, config_.cameras, config_.image_size, config_.replan_steps);
    if (!driver.ok()) return driver.status();
    driver_ = *std::move(driver);
    return {};
  }

  DemosConfig config_;
  std::filesystem::path asset_root_;
  std::string task_;
  std::unique_ptr<DemoRecorder> recorder_;
  std::unique_ptr<DemoDriver> driver_;  // of all tasks; null where the expert acts alone
};

}  // namespace

Message DemosSetup(const DemosConfig& config, const std::filesystem::path& asset_root) {
  return {{"kind", "demos"},
          {"config", PrintConfig(config)},
          {"asset_root", AbsolutePath(asset_root).string()}};
}

Result<WorkerTask> PrepareDemoWorker(const Message& setup) {
  Result<ConfigNode> node = ParseYaml(setup.at("config").get<std::string>(), "(worker)", false);
  if (!node.ok()) return node.status();
  DemosConfig config;
  if (Status status = ParseConfig(*node, &config); !status.ok()) return status;
  auto worker =
      std::make_shared<DemoWorker>(std::move(config), setup.at("asset_root").get<std::string>());
  return WorkerTask(DoJob([worker](const Message& job, const SendProgress& progress) {
    return worker->Run(job, progress);
  }));
}

}  // namespace kvla

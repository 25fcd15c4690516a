// SPDX-License-Identifier: Apache-2.0
#include "harness/eval/eval_worker.h"

#include <unistd.h>

#include <memory>
#include <utility>

#include "base/config_io.h"
#include "base/machine.h"
#include "harness/episode/episode_video.h"
#include "harness/eval/runner.h"
#include "results/store/run_store.h"
#include "results/trace/record_codec.h"
#include "results/video/video_rule.h"

namespace kvla {

Message EvalSetup(const RunPlan& plan) {
  Message caches = Message::array();
  for (const CacheConfig& cache : plan.caches) caches.push_back(PrintConfig(cache));
  return {{"kind", "eval"},
          {"config", PrintConfig(plan.config)},
          {"asset_root", plan.asset_root.string()},
          {"checkpoint", plan.checkpoint.string()},
          {"caches", caches},
          {"recorded_ms", plan.recorded_ms},
          {"max_blocks", plan.max_blocks}};
}

Message EvalJobMessage(const EpisodeJob& job) {
  return {{"arm", job.arm},
          {"task", job.task},
          {"delay", job.delay},
          {"seed", job.seed},
          {"weight", job.weight},
          {"horizon_steps", job.horizon_steps},
          {"max_inferences", job.max_inferences}};
}

EpisodeJob EvalJobFrom(const Message& message) {
  return {message.at("arm").get<int>(),           message.at("task").get<std::string>(),
          message.at("delay").get<std::string>(), message.at("seed").get<int64_t>(),
          message.at("weight").get<double>(),     message.at("horizon_steps").get<int>(),
          message.at("max_inferences").get<int>()};
}

Message EvalAnswer(const EpisodeRecord& record, const std::string& gl_renderer) {
  const MemoryUse memory = ReadMemoryUse();
  return {{"record", Message::binary(RecordToCbor(record))},
          {"gl_renderer", gl_renderer},
          {"pid", getpid()},
          {"resident_bytes", memory.resident_bytes},
          {"peak_bytes", memory.peak_bytes}};
}

namespace {

template <class T>
Status FromYaml(const Message& text, T* config) {
  const Result<ConfigNode> node = ParseYaml(text.get<std::string>(), "(worker)", false);
  return node.ok() ? ParseConfig(*node, config) : node.status();
}

Result<RunPlan> PlanFrom(const Message& setup) {
  RunPlan plan;
  if (Status status = FromYaml(setup.at("config"), &plan.config); !status.ok()) return status;
  plan.asset_root = setup.at("asset_root").get<std::string>();
  plan.checkpoint = setup.at("checkpoint").get<std::string>();
  plan.max_blocks = setup.at("max_blocks").get<int>();
  setup.at("recorded_ms").get_to(plan.recorded_ms);
  for (const Message& text : setup.at("caches")) {
    CacheConfig cache;
    if (Status status = FromYaml(text, &cache); !status.ok()) return status;
    plan.caches.push_back(std::move(cache));
  }
  return plan;
}

// Holds episodes and takes turns at them.
class EvalWorker : public JobStepper {
 public:
  EvalWorker(std::unique_ptr<EpisodeRunner> runner, const std::filesystem::path& asset_root)
      : runner_(std::move(runner)), filmer_(asset_root) {}

  Status Begin(int64_t id, const Message& message) override {
    const EpisodeJob job = EvalJobFrom(message);
    auto held = std::make_unique<Held>();
    held->id = id;
    // Inferences that are left of a trial; below 0: no end.
    held->left = job.max_inferences > 0 ? job.max_inferences : -1;
    const auto before_step = [left = &held->left](bool inference_due) {
      if (!inference_due || *left < 0) return StepVerdict::kGo;
      return (*left)-- == 0 ? StepVerdict::kStop : StepVerdict::kGo;
    };
    Result<std::unique_ptr<RunningEpisode>> episode =
        runner_->Begin(job, before_step, &held->recorder);
    if (!episode.ok()) return episode.status();
    held->episode = *std::move(episode);
    held_.push_back(std::move(held));
    return {};
  }

  Result<std::vector<Finished>> Step() override {
    std::vector<RunningEpisode*> episodes;
    for (const auto& held : held_) episodes.push_back(held->episode.get());
    std::vector<bool> ended;
    runner_->Step(episodes, &ended);
    std::vector<Finished> finished;
    std::vector<std::unique_ptr<Held>> going;
    for (size_t i = 0; i < held_.size(); ++i) {
      if (!ended[i]) {
        going.push_back(std::move(held_[i]));
        continue;
      }
      Result<Message> answer = Answer(*held_[i]);
      if (!answer.ok()) return answer.status();
      finished.push_back({held_[i]->id, *std::move(answer)});
    }
    held_ = std::move(going);
    return finished;
  }

 private:
  struct Held {
    int64_t id = 0;
    int left = -1;
    EpisodeRecorder recorder;
    std::unique_ptr<RunningEpisode> episode;
  };

  Result<Message> Answer(Held& held) {
    const EpisodeRecord record = held.recorder.Take();
    Message answer = EvalAnswer(record, runner_->gl_renderer());
    const RunConfig& config = runner_->plan().config;
    const EpisodeJob& job = held.episode->job();
    if (job.max_inferences == 0 &&
        WantsVideo(config.videos, config.videos_n, job.seed - config.first_episode, record.end)) {
      Result<std::string> video = filmer_.Film(record);
      if (!video.ok()) return video.status();
      answer["video"] = Message::binary({video->begin(), video->end()});
    }
    return answer;
  }

  std::unique_ptr<EpisodeRunner> runner_;
  EpisodeFilmer filmer_;
  std::vector<std::unique_ptr<Held>> held_;
};

}  // namespace

Result<WorkerTask> PrepareEvalWorker(const Message& setup) {
  const Result<RunPlan> plan = PlanFrom(setup);
  if (!plan.ok()) return plan.status();
  const Result<TraceLevel> level = ParseTraceLevel(plan->config.trace);
  if (!level.ok()) return level.status();
  EpisodeRunner::Options options;
  options.steps = true;  // when stages were reached is always stored
  options.states = *level == TraceLevel::kFull || plan->config.videos != "none";
  Result<std::unique_ptr<EpisodeRunner>> runner = EpisodeRunner::Create(*plan, options);
  if (!runner.ok()) return runner.status();
  return WorkerTask(std::make_unique<EvalWorker>(*std::move(runner), plan->asset_root));
}

}  // namespace kvla

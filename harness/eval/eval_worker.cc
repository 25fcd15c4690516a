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

}  // namespace

Result<DoJob> PrepareEvalWorker(const Message& setup) {
  const Result<RunPlan> plan = PlanFrom(setup);
  if (!plan.ok()) return plan.status();
  const Result<TraceLevel> level = ParseTraceLevel(plan->config.trace);
  if (!level.ok()) return level.status();
  EpisodeRunner::Options options;
  options.steps = true;  // when stages were reached is always stored
  options.states = *level == TraceLevel::kFull || plan->config.videos != "none";
  // Inferences that are left of a trial; below 0: no end.
  const auto left = std::make_shared<int>(-1);
  options.before_step = [left](bool inference_due) {
    if (!inference_due || *left < 0) return StepVerdict::kGo;
    return (*left)-- == 0 ? StepVerdict::kStop : StepVerdict::kGo;
  };
  Result<std::unique_ptr<EpisodeRunner>> made = EpisodeRunner::Create(*plan, std::move(options));
  if (!made.ok()) return made.status();
  std::shared_ptr<EpisodeRunner> runner = *std::move(made);
  const auto filmer = std::make_shared<EpisodeFilmer>(plan->asset_root);
  return DoJob([runner, left, filmer](const Message& message,
                                      const SendProgress&) -> Result<Message> {
    const EpisodeJob job = EvalJobFrom(message);
    *left = job.max_inferences > 0 ? job.max_inferences : -1;
    EpisodeRecorder recorder;
    if (Status status = runner->Run(job, &recorder); !status.ok()) return status;
    const EpisodeRecord record = recorder.Take();
    Message answer = EvalAnswer(record, runner->gl_renderer());
    const RunConfig& config = runner->plan().config;
    if (job.max_inferences == 0 &&
        WantsVideo(config.videos, config.videos_n, job.seed - config.first_episode, record.end)) {
      Result<std::string> video = filmer->Film(record);
      if (!video.ok()) return video.status();
      answer["video"] = Message::binary({video->begin(), video->end()});
    }
    return answer;
  });
}

}  // namespace kvla

#include <memory>
#include <utility>

#include "base/config_io.h"
#include "harness/batch.h"
#include "harness/runner.h"
#include "results/record_codec.h"
#include "results/run_store.h"

namespace kvla {

Message EvalSetup(const RunPlan& plan) {
  Message caches = Message::array();
  for (const CacheConfig& cache : plan.caches) caches.push_back(PrintConfig(cache));
  return {{"kind", "eval"},
          {"config", PrintConfig(plan.config)},
          {"asset_root", plan.asset_root.string()},
          {"checkpoint", plan.checkpoint.string()},
          {"caches", caches},
          {"policy", PrintConfig(plan.policy)},
          {"max_blocks", plan.max_blocks}};
}

Message EvalJobMessage(const EpisodeJob& job) {
  return {{"arm", job.arm},
          {"task", job.task},
          {"delay", job.delay},
          {"seed", job.seed},
          {"weight", job.weight}};
}

EpisodeJob EvalJobFrom(const Message& message) {
  return {message.at("arm").get<int>(), message.at("task").get<std::string>(),
          message.at("delay").get<std::string>(), message.at("seed").get<int64_t>(),
          message.at("weight").get<double>()};
}

Message EvalAnswer(const EpisodeRecord& record, const std::string& gl_renderer) {
  return {{"record", Message::binary(RecordToCbor(record))}, {"gl_renderer", gl_renderer}};
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
  if (Status status = FromYaml(setup.at("policy"), &plan.policy); !status.ok()) return status;
  plan.asset_root = setup.at("asset_root").get<std::string>();
  plan.checkpoint = setup.at("checkpoint").get<std::string>();
  plan.max_blocks = setup.at("max_blocks").get<int>();
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
  options.steps = options.states = *level == TraceLevel::kFull;
  Result<std::unique_ptr<EpisodeRunner>> made = EpisodeRunner::Create(*plan, std::move(options));
  if (!made.ok()) return made.status();
  std::shared_ptr<EpisodeRunner> runner = *std::move(made);
  return DoJob([runner](const Message& message, const SendProgress&) -> Result<Message> {
    const EpisodeJob job = EvalJobFrom(message);
    EpisodeRecorder recorder;
    if (Status status = runner->Run(job, &recorder); !status.ok()) return status;
    return EvalAnswer(recorder.Take(), runner->gl_renderer());
  });
}

}  // namespace kvla

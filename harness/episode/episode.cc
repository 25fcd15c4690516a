// SPDX-License-Identifier: Apache-2.0
#include "harness/episode/episode.h"

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <utility>

#include "base/hash.h"
#include "base/split_names.h"
#include "harness/episode/policy_io.h"
#include "kv_efficient/methods/method_table.h"

namespace kvla {
namespace {

using SteadyClock = std::chrono::steady_clock;

double Milliseconds(SteadyClock::time_point since) {
  return std::chrono::duration<double, std::milli>(SteadyClock::now() - since).count();
}

// The state of one episode in progress.
class Loop {
 public:
  Loop(const EpisodeSettings& settings, const Task& task, World& world, Renderer& renderer,
       const PolicyPort& policy, Scenario scenario, TraceSink* sink)
      : settings_(settings),
        task_(task),
        world_(world),
        renderer_(renderer),
        policy_(policy),
        scenario_(std::move(scenario)),
        sink_(sink),
        clock_(settings.clock, settings.control_rate_hz),
        disturbance_(settings.disturbance, scenario_, &world) {}

  void Run();

 private:
  Status Start();
  // Asks the policy; `stale` is how many control steps the world makes meanwhile.
  Status Infer(int step, int* stale);
  Status Act(int step, const Action& action, bool* done);
  Action NextAction();  // of the chunk at hand
  Action HoldAction();  // while there is no new one
  void Latch(const Progress& progress);
  void End(const Status& status, SteadyClock::time_point start);

  const EpisodeSettings& settings_;
  const Task& task_;
  World& world_;
  Renderer& renderer_;
  const PolicyPort& policy_;
  const Scenario scenario_;
  TraceSink* sink_;

  EpisodeBegin begin_;
  Clock clock_;
  Disturbance disturbance_;
  int inferences_ = 0;
  int steps_ = 0;
  // The chunk that the arm follows, and the one that it will follow when the world has caught up.
  ActionChunk chunk_, coming_;
  std::vector<bool> stages_;
  Progress last_;
};

Status Loop::Start() {
  begin_ = BeginEvent(task_, scenario_, settings_, policy_.config);
  stages_.assign(task_.info().stages.size(), false);
  EpisodeContext context;
  context.instruction = scenario_.instruction;
  context.stream_key = Rng(scenario_.Key(), "cache").NextU64();
  context.cue_blocks =
      CueBlocks(scenario_.cues, policy_.config.replan_steps, scenario_.horizon_steps);
  const Status status = policy_.begin(context);
  if (status.ok()) begin_.instruction_tokens = policy_.instruction_tokens();
  sink_->On(begin_);
  if (!status.ok()) return status.In("policy");
  // Stages that the placement already fulfils.
  Latch(task_.Evaluate(world_, scenario_));
  return {};
}

Status Loop::Infer(int step, int* stale) {
  InferenceEvent event;
  event.index = inferences_++;
  event.control_step = step;
  event.time_s = world_.time_s();
  const int size = policy_.config.image_size;
  std::vector<Image> images(policy_.config.cameras.size());
  const SteadyClock::time_point begin = SteadyClock::now();
  for (size_t c = 0; c < images.size(); ++c) {
    Status status = renderer_.Render(world_, policy_.config.cameras[c], size, size, &images[c]);
    if (!status.ok()) return status;
  }
  event.cost.latency.render_ms = Milliseconds(begin);

  const Proprioception proprio = disturbance_.Sense(world_.Proprio());
  const FrameInput input = MakeFrameInput(images, proprio);
  const SteadyClock::time_point asked = SteadyClock::now();
  Result<Inference> inference = policy_.infer(input);
  if (!inference.ok()) return inference.status().In("policy");
  if (clock_.kind() == ClockKind::kWall) event.think_s = Milliseconds(asked) / 1000;
  if (clock_.kind() == ClockKind::kSimulated && settings_.think_s) {
    event.think_s = settings_.think_s(event.index, *inference);
  }
  *stale = std::min(clock_.StepsDuring(event.think_s), scenario_.horizon_steps - step);
  event.stale_steps = *stale;
  event.late = clock_.Late(event.think_s);
  if (inference->targets.empty()) return InternalError("the policy returned no targets");
  coming_ = {proprio.ee.position, inference->targets, 0};
  for (const auto& target : coming_.targets) {
    for (const float value : target) {
      if (!std::isfinite(value)) {
        return InternalError(fmt::format("the policy returned {} at control step {}", value, step));
      }
      event.action_chunk.push_back(value);
    }
  }
  const double render_ms = event.cost.latency.render_ms;
  event.cost = inference->cost;
  event.cost.latency.render_ms = render_ms;
  event.attention = inference->attention;
  event.changes = inference->changes;
  if (settings_.images) {
    for (size_t c = 0; c < images.size(); ++c) {
      event.images.push_back({policy_.config.cameras[c], size, size, std::move(images[c].rgb)});
    }
  }
  sink_->On(event);
  return {};
}

Action Loop::NextAction() { return chunk_.Next(world_.EndEffector()); }

Action Loop::HoldAction() {
  if (!chunk_.targets.empty()) return NextAction();  // the last target, again and again
  Action still;
  still.value[kActionDim - 1] = -1;  // the gripper starts open
  return still;
}

Status Loop::Act(int step, const Action& action, bool* done) {
  disturbance_.Push();
  if (Status status = world_.Step(action); !status.ok()) return status;
  steps_ = step + 1;
  task_.Update(world_, scenario_);
  const Progress progress = task_.Evaluate(world_, scenario_);
  Latch(progress);
  *done = progress.done;
  if (settings_.steps) {
    StepEvent event;
    event.control_step = step;
    event.action = action.value;
    if (settings_.states) event.state = world_.SaveState();
    event.stages = stages_;
    sink_->On(event);
  }
  return {};
}

void Loop::Latch(const Progress& progress) {
  for (size_t i = 0; i < stages_.size() && i < progress.reached.size(); ++i) {
    stages_[i] = stages_[i] || progress.reached[i];
  }
  last_ = progress;
}

void Loop::End(const Status& status, SteadyClock::time_point start) {
  EpisodeEnd end;
  end.id = begin_.id;
  end.success = status.ok() && last_.success;
  end.outcome = !status.ok() ? "error" : last_.success ? "success" : "failure";
  end.error = status.message();
  end.decisive_reached = last_.decisive_reached;
  end.decisive_right = last_.decisive_right;
  end.motor_ok = true;
  int reached = 0;
  for (size_t i = 0; i < stages_.size(); ++i) {
    reached += stages_[i] ? 1 : 0;
    const bool motor = task_.info().stages[i].kind == StageKind::kMotor;
    end.motor_ok = end.motor_ok && (stages_[i] || !motor);
  }
  end.progress = stages_.empty() ? 0 : static_cast<double>(reached) / stages_.size();
  end.stages = stages_;
  end.steps = steps_;
  end.state_hash = Hex64(world_.StateHash());
  end.wall_s = Milliseconds(start) / 1000;
  sink_->On(end);
}

void Loop::Run() {
  const SteadyClock::time_point start = SteadyClock::now();
  Status status = Start();
  bool done = false;
  int stale = 0;  // control steps to make before the coming chunk is there
  int fresh = 0;  // control steps left of the chunk at hand
  for (int step = 0; status.ok() && !done && step < scenario_.horizon_steps; ++step) {
    const bool inference_due = stale == 0 && fresh == 0;
    if (settings_.before_step && settings_.before_step(inference_due) == StepVerdict::kStop) {
      status = Status(StatusCode::kCancelled, "stopped by the viewer");
      break;
    }
    if (inference_due) {
      status = Infer(step, &stale);
      fresh = policy_.config.replan_steps;
      if (!status.ok()) break;
    }
    if (stale > 0) {
      --stale;
      status = Act(step, HoldAction(), &done);
      continue;
    }
    if (fresh == policy_.config.replan_steps) {
      chunk_ = std::move(coming_);
    }
    --fresh;
    status = Act(step, NextAction(), &done);
  }
  End(status, start);
}

}  // namespace

PolicyPort PortOf(Vla* vla) {
  PolicyPort port;
  port.config = vla->config();
  port.begin = [vla](const EpisodeContext& context) { return vla->BeginEpisode(context); };
  port.infer = [vla](const FrameInput& input) { return vla->Infer(input); };
  port.instruction_tokens = [vla] { return vla->instruction_tokens(); };
  return port;
}

std::string GeometryWarning(const CacheConfig& cache, const PolicyConfig& policy) {
  if (cache.window_blocks == policy.window_blocks && cache.chunk_blocks == policy.chunk_blocks) {
    return "";
  }
  return fmt::format(
      "a window of {} blocks in chunks of {}, but the policy was trained with {} in chunks of {}: "
      "tokens older than the window get other positions, under 'full' as well, so that this arm "
      "compares another policy",
      cache.window_blocks, cache.chunk_blocks, policy.window_blocks, policy.chunk_blocks);
}

EpisodeBegin BeginEvent(const Task& task, const Scenario& scenario, const EpisodeSettings& settings,
                        const PolicyConfig& policy) {
  const TaskInfo& info = task.info();
  EpisodeBegin begin;
  begin.id = {settings.arm, scenario.task, scenario.delay, static_cast<int64_t>(scenario.episode)};
  begin.split = SplitName(scenario.split);
  begin.run_seed = scenario.run_seed;
  begin.instruction = scenario.instruction;
  begin.scene = settings.asset_root.empty()
                    ? task.scene().string()
                    : task.scene().lexically_relative(settings.asset_root).string();
  begin.cache_policy = settings.cache.policy;
  begin.method = TraitsOf(settings.cache);
  begin.disturbance = DisturbanceName(settings.disturbance);
  begin.horizon_steps = scenario.horizon_steps;
  begin.control_rate_hz = kControlRateHz;
  begin.replan_steps = policy.replan_steps;
  begin.tokens_per_block = policy.tokens_per_block();
  begin.chunk_blocks = settings.cache.chunk_blocks;
  begin.window_blocks = settings.cache.window_blocks;
  begin.chance = info.chance;
  for (const StageInfo& stage : info.stages) {
    begin.stages.push_back({stage.name, stage.kind == StageKind::kDecisive});
  }
  for (const CueInterval& cue : scenario.cues) begin.cues.push_back({cue.begin_s, cue.end_s});
  if (const std::string warning = GeometryWarning(settings.cache, policy); !warning.empty()) {
    begin.warnings.push_back(warning);
  }
  if (const std::string warning = GateKeepWarning(settings.cache); !warning.empty()) {
    begin.warnings.push_back(warning);
  }
  if (scenario.decision_s >= 0) {
    const double period = policy.replan_steps * kControlPeriod;
    const std::string warning = CueCoverageWarning(
        settings.cache, CueBlocks(scenario.cues, policy.replan_steps, scenario.horizon_steps),
        static_cast<int>(std::ceil(scenario.decision_s / period - 1e-6)));
    if (!warning.empty()) begin.warnings.push_back(warning);
  }
  return begin;
}

Status RunEpisode(const EpisodeSettings& settings, const Task& task, World& world,
                  Renderer& renderer, const PolicyPort& policy, TraceSink* sink) {
  Result<Scenario> scenario = task.Place(world, settings.key);
  if (!scenario.ok()) return scenario.status();
  Result<std::string> instruction = InstructionOf(task.info(), *scenario, settings.phrasing);
  if (!instruction.ok()) return instruction.status();
  scenario->instruction = *std::move(instruction);
  task.Update(world, *scenario);
  Loop loop(settings, task, world, renderer, policy, *std::move(scenario), sink);
  loop.Run();
  return {};
}

}  // namespace kvla

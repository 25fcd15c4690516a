// SPDX-License-Identifier: Apache-2.0
#include "harness/episode/episode_loop.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/hash.h"

namespace kvla {
namespace {

double Milliseconds(std::chrono::steady_clock::time_point since) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - since)
      .count();
}

}  // namespace

EpisodeLoop::EpisodeLoop(const EpisodeSettings& settings, const Task& task, World& world,
                         Renderer& renderer, const PolicySpec& policy, Session& session,
                         Scenario scenario, TraceSink* sink)
    : settings_(settings),
      task_(task),
      world_(world),
      renderer_(renderer),
      policy_(policy),
      session_(session),
      scenario_(std::move(scenario)),
      sink_(sink),
      clock_(settings.clock, settings.control_rate_hz),
      disturbance_(settings.disturbance, scenario_, &world),
      images_(policy.cameras.size()),
      started_(SteadyClock::now()) {}

Result<std::unique_ptr<EpisodeLoop>> EpisodeLoop::Begin(const EpisodeSettings& settings,
                                                        const Task& task, World& world,
                                                        Renderer& renderer,
                                                        const PolicySpec& policy, Session& session,
                                                        TraceSink* sink) {
  Result<Scenario> scenario = task.Place(world, settings.key);
  if (!scenario.ok()) return scenario.status();
  Result<std::string> instruction = InstructionOf(task.info(), *scenario, settings.phrasing);
  if (!instruction.ok()) return instruction.status();
  scenario->instruction = *std::move(instruction);
  task.Update(world, *scenario);
  std::unique_ptr<EpisodeLoop> loop(new EpisodeLoop(settings, task, world, renderer, policy,
                                                    session, *std::move(scenario), sink));
  loop->status_ = loop->Start();
  return loop;
}

Status EpisodeLoop::Start() {
  begin_ = BeginEvent(task_, scenario_, settings_, policy_);
  stages_.assign(task_.info().stages.size(), false);
  EpisodeContext context;
  context.instruction = scenario_.instruction;
  context.stream_key = Rng(scenario_.Key(), "cache").NextU64();
  context.cue_blocks = CueBlocks(scenario_.cues, policy_.replan_steps, scenario_.horizon_steps);
  const Status status = session_.BeginEpisode(context);
  if (status.ok()) begin_.instruction_tokens = session_.instruction_tokens();
  sink_->On(begin_);
  if (!status.ok()) return status.In("policy");
  // Stages that the placement already fulfils.
  Latch(task_.Evaluate(world_, scenario_));
  return {};
}

Status EpisodeLoop::See() {
  event_ = {};
  event_.index = inferences_++;
  event_.control_step = step_;
  event_.time_s = world_.time_s();
  const SteadyClock::time_point begin = SteadyClock::now();
  for (size_t c = 0; c < images_.size(); ++c) {
    const PolicyCamera& camera = policy_.cameras[c];
    Status status = renderer_.Render(world_, camera.name, camera.width, camera.height, &images_[c]);
    if (!status.ok()) return status;
  }
  event_.cost.latency.render_ms = Milliseconds(begin);
  proprio_ = disturbance_.Sense(world_.Proprio());
  observation_ = MakeFrameInput(images_, proprio_);
  asked_ = SteadyClock::now();
  return {};
}

Status EpisodeLoop::Take(const Inference& inference) {
  if (clock_.kind() == ClockKind::kWall) event_.think_s = Milliseconds(asked_) / 1000;
  if (clock_.kind() == ClockKind::kSimulated && settings_.think_s) {
    event_.think_s = settings_.think_s(event_.index, inference);
  }
  stale_ = std::min(clock_.StepsDuring(event_.think_s), scenario_.horizon_steps - step_);
  event_.stale_steps = stale_;
  event_.late = clock_.Late(event_.think_s);
  if (inference.targets.empty()) return InternalError("the policy returned no targets");
  coming_ = {proprio_.ee.position, inference.targets, 0};
  for (const auto& target : coming_.targets) {
    for (const float value : target) {
      if (!std::isfinite(value)) {
        return InternalError(
            fmt::format("the policy returned {} at control step {}", value, step_));
      }
      event_.action_chunk.push_back(value);
    }
  }
  const double render_ms = event_.cost.latency.render_ms;
  event_.cost = inference.cost;
  event_.cost.latency.render_ms = render_ms;
  event_.attention = inference.attention;
  event_.changes = inference.changes;
  if (settings_.images) {
    for (size_t c = 0; c < images_.size(); ++c) {
      const PolicyCamera& camera = policy_.cameras[c];
      event_.images.push_back(
          {camera.name, camera.width, camera.height, std::move(images_[c].rgb)});
    }
  }
  sink_->On(event_);
  fresh_ = policy_.replan_steps;
  return {};
}

bool EpisodeLoop::Advance() {
  while (status_.ok() && !done_ && step_ < scenario_.horizon_steps) {
    const bool inference_due = stale_ == 0 && fresh_ == 0;
    if (settings_.before_step && settings_.before_step(inference_due) == StepVerdict::kStop) {
      status_ = Status(StatusCode::kCancelled, "stopped by the viewer");
      break;
    }
    if (!inference_due) {
      Step();
      continue;
    }
    status_ = See();
    if (status_.ok()) return true;
  }
  End();
  return false;
}

void EpisodeLoop::Answer(Result<Inference> inference) {
  status_ = inference.ok() ? Take(*inference) : inference.status().In("policy");
  if (status_.ok()) Step();
}

void EpisodeLoop::Step() {
  if (stale_ > 0) {
    --stale_;
    status_ = Act(HoldAction());
  } else {
    if (fresh_ == policy_.replan_steps) chunk_ = std::move(coming_);
    --fresh_;
    status_ = Act(NextAction());
  }
  ++step_;
}

Action EpisodeLoop::NextAction() { return chunk_.Next(world_.EndEffector()); }

Action EpisodeLoop::HoldAction() {
  if (!chunk_.targets.empty()) return NextAction();  // the last target, again and again
  Action still;
  still.value[kActionDim - 1] = -1;  // the gripper starts open
  return still;
}

Status EpisodeLoop::Act(const Action& action) {
  disturbance_.Push();
  if (Status status = world_.Step(action); !status.ok()) return status;
  steps_ = step_ + 1;
  task_.Update(world_, scenario_);
  const Progress progress = task_.Evaluate(world_, scenario_);
  Latch(progress);
  done_ = progress.done;
  if (settings_.steps) {
    StepEvent event;
    event.control_step = step_;
    event.action = action.value;
    if (settings_.states) event.state = world_.SaveState();
    event.stages = stages_;
    sink_->On(event);
  }
  return {};
}

void EpisodeLoop::Latch(const Progress& progress) {
  for (size_t i = 0; i < stages_.size() && i < progress.reached.size(); ++i) {
    stages_[i] = stages_[i] || progress.reached[i];
  }
  last_ = progress;
}

void EpisodeLoop::End() {
  EpisodeEnd end;
  end.id = begin_.id;
  end.success = status_.ok() && last_.success;
  end.outcome = !status_.ok() ? "error" : last_.success ? "success" : "failure";
  end.error = status_.message();
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
  end.wall_s = Milliseconds(started_) / 1000;
  sink_->On(end);
}

}  // namespace kvla

// SPDX-License-Identifier: Apache-2.0
#include "harness/demos/demo_recorder.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "harness/episode/policy_io.h"
#include "tasks/task_list.h"

namespace kvla {

ActionNoise::ActionNoise(const DemoNoise& config, Rng rng) : config_(config), rng_(rng) {
  active_ = rng_.Uniform() < config_.share;
  // Episodes differ in strength, so that the nearly clean path is seen as well.
  deviation_ = config_.deviation * rng_.Uniform(0.2, 1.0);
}

Action ActionNoise::Disturb(const Action& clean) {
  if (!active_) return clean;
  if (push_left_ == 0 && rng_.Uniform() < config_.burst_rate) {
    push_left_ = 1 + rng_.UniformInt(config_.burst_steps);
    double length = 0;
    for (double& p : push_) {
      p = rng_.Normal();
      length += p * p;
    }
    const double scale = config_.burst_size * rng_.Uniform(0.3, 1.0) / std::sqrt(length + 1e-12);
    for (double& p : push_) p *= scale;
  }
  const bool pushed = push_left_ > 0;
  if (pushed) --push_left_;
  // Ornstein-Uhlenbeck with a stationary deviation of deviation_.
  const double keep = 1 - config_.reversion;
  const double spread = deviation_ * std::sqrt(1 - keep * keep);
  Action action = clean;
  for (int i = 0; i < 3; ++i) {
    drift_[i] = keep * drift_[i] + spread * rng_.Normal();
    const double value = clean.value[i] + drift_[i] + (pushed ? push_[i] : 0);
    action.value[i] = static_cast<float>(std::clamp(value, -1.0, 1.0));
  }
  return action;
}

Result<std::unique_ptr<DemoRecorder>> DemoRecorder::Create(const std::string& task,
                                                           const std::filesystem::path& asset_root,
                                                           std::vector<std::string> cameras,
                                                           int image_size, int replan_steps,
                                                           const TaskOptions& options) {
  std::unique_ptr<DemoRecorder> recorder(new DemoRecorder);
  Result<std::unique_ptr<Task>> made = MakeTask(task, asset_root, options);
  if (!made.ok()) return made.status();
  recorder->task_ = *std::move(made);
  Result<std::unique_ptr<World>> world = World::Load(recorder->task_->scene());
  if (!world.ok()) return world.status();
  recorder->world_ = *std::move(world);
  Result<std::unique_ptr<Renderer>> renderer =
      Renderer::Create(recorder->world_->model(), image_size, image_size);
  if (!renderer.ok()) return renderer.status();
  recorder->renderer_ = *std::move(renderer);
  recorder->cameras_ = std::move(cameras);
  recorder->image_size_ = image_size;
  recorder->replan_steps_ = replan_steps;
  return recorder;
}

// A control step: see (at every replan_steps_-th one), note the state, ask the expert, act. What is
// learnt is the expert's action from where the arm is; what is done may be a disturbed one or a
// policy's, so that demonstrations show the way back from mistakes.
Result<DemoRecording> DemoRecorder::Record(const EpisodeKey& key, const DemoNoise& noise,
                                           Phrasing phrasing, DemoDriver* driver,
                                           DisturbanceLevel level) {
  if (key.split == Split::kEvaluation) {
    return BadInput("demonstrations of the evaluation split are refused: they would be trained on");
  }
  DemoRecording r;
  Result<Scenario> placed = task_->Place(*world_, key);
  if (!placed.ok()) return placed.status();
  r.scenario = *std::move(placed);
  Result<std::string> instruction = InstructionOf(task_->info(), r.scenario, phrasing);
  if (!instruction.ok()) return instruction.status();
  r.scenario.instruction = *std::move(instruction);
  r.options = task_->options();
  r.disturbance = level;
  r.scene = task_->scene();
  r.cameras = cameras_;
  r.images.resize(cameras_.size());
  task_->Update(*world_, r.scenario);
  Disturbance disturbance(level, r.scenario, world_.get());
  const std::unique_ptr<Expert> expert =
      task_->MakeExpert(r.scenario, /*blind=*/false, Rng(key, "demo/expert"));
  ActionNoise action_noise(noise, Rng(key, "demo/noise"));

  r.choices = task_->info().num_choices;
  if (driver != nullptr) {
    Status status = driver->Begin(r.scenario.instruction, Rng(key, "demo/driver"));
    if (!status.ok()) return status;
  }

  std::vector<Image> images(cameras_.size());
  for (int step = 0; step < r.scenario.horizon_steps; ++step) {
    const Proprioception proprio = disturbance.Sense(world_->Proprio());
    const Pose hand = world_->EndEffector();
    if (step % replan_steps_ == 0) {
      for (size_t c = 0; c < cameras_.size(); ++c) {
        Status status =
            renderer_->Render(*world_, cameras_[c], image_size_, image_size_, &images[c]);
        if (!status.ok()) return status;
        r.images[c].insert(r.images[c].end(), images[c].rgb.begin(), images[c].rgb.end());
      }
      if (driver != nullptr) {
        if (Status s = driver->See(images, proprio); !s.ok()) return s;
      }
      ++r.inferences;
    }
    const std::vector<double> state = world_->SaveState();
    r.state_size = static_cast<int>(state.size());
    r.states.insert(r.states.end(), state.begin(), state.end());
    r.ee_pos.insert(r.ee_pos.end(), proprio.ee.position.begin(), proprio.ee.position.end());
    r.ee_quat.insert(r.ee_quat.end(), proprio.ee.quaternion.begin(), proprio.ee.quaternion.end());
    r.gripper_width.push_back(proprio.gripper_width);
    r.joint_pos.insert(r.joint_pos.end(), proprio.joint_positions.begin(),
                       proprio.joint_positions.end());

    const Action clean = expert->Act(*world_);
    const ExpertLabel label = expert->Label();
    const bool driven = driver != nullptr && driver->acts();
    const Action executed = driven ? driver->Next(hand) : action_noise.Disturb(clean);
    r.actions.insert(r.actions.end(), clean.value.begin(), clean.value.end());
    r.executed.insert(r.executed.end(), executed.value.begin(), executed.value.end());
    const std::array<float, kTargetDim> target = AbsoluteTarget(hand, clean);
    r.targets.insert(r.targets.end(), target.begin(), target.end());
    for (const double w : label.waypoint) r.waypoints.push_back(static_cast<float>(w));
    r.target_class.push_back(label.target);
    r.decision.push_back(label.decision ? 1 : 0);
    ++r.steps;

    disturbance.Push();
    const Status stepped = world_->Step(executed);
    if (stepped.code() == StatusCode::kDiverged) {
      r.diverged = true;
      return r;
    }
    if (!stepped.ok()) return stepped;
    task_->Update(*world_, r.scenario);
    const Progress progress = task_->Evaluate(*world_, r.scenario);
    if (progress.done) {
      r.success = progress.success;
      break;
    }
  }
  return r;
}

}  // namespace kvla

// SPDX-License-Identifier: Apache-2.0
// Records one demonstration: the scripted expert, disturbed on purpose.
#ifndef KVLA_HARNESS_DEMOS_DEMO_RECORDER_H_
#define KVLA_HARNESS_DEMOS_DEMO_RECORDER_H_

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/config_fields.h"
#include "base/rng.h"
#include "base/status.h"
#include "harness/demos/demo_driver.h"
#include "sim/renderer.h"
#include "sim/world.h"
#include "tasks/disturbance.h"
#include "tasks/task.h"

namespace kvla {

// What pushes the arm off the expert's path, so that demonstrations show the way back. Sizes are in
// action units (1 = 0.05 m a control step).
struct DemoNoise {
  double share = 0.85;
  double deviation = 0.06;
  double reversion = 0.15;
  double burst_rate = 0.012;
  double burst_size = 0.55;
  int burst_steps = 8;

  template <class V>
  void Fields(V& v) {
    v("share", share, Range{0.0, 1.0}, "share of the episodes that are disturbed");
    v("deviation", deviation, Range{0.0, 1.0}, "of the steady disturbance, per axis, at most");
    v("reversion", reversion, Range{0.01, 1.0}, "share of it that fades in a control step");
    v("burst_rate", burst_rate, Range{0.0, 1.0}, "chance of a push at a control step");
    v("burst_size", burst_size, Range{0.0, 2.0}, "length of a push's action, at most");
    v("burst_steps", burst_steps, Range{1, 100}, "control steps a push lasts, at most");
  }
};

// Smooth noise on the position deltas of one episode; a function of its stream alone.
class ActionNoise {
 public:
  ActionNoise(const DemoNoise& config, Rng rng);
  // The action to execute in place of `clean`.
  Action Disturb(const Action& clean);

 private:
  DemoNoise config_;
  Rng rng_;
  bool active_ = false;
  double deviation_ = 0;
  double drift_[3] = {0, 0, 0};
  double push_[3] = {0, 0, 0};
  int push_left_ = 0;
};

// One episode, arrays row-major, one row per control step unless said otherwise.
struct DemoRecording {
  Scenario scenario;
  TaskOptions options;
  DisturbanceLevel disturbance = DisturbanceLevel::kNone;
  std::filesystem::path scene;
  bool success = false;
  bool diverged = false;
  int steps = 0;
  int inferences = 0;
  int state_size = 0;
  std::vector<std::string> cameras;
  std::vector<std::vector<uint8_t>> images;  // per camera [inferences, size, size, 3]
  std::vector<double> ee_pos, ee_quat, gripper_width, joint_pos, states;
  std::vector<float> actions;    // [steps, 7] clean: what the expert would do here
  std::vector<float> executed;   // [steps, 7] what was done
  std::vector<float> targets;    // [steps, 7] pose that the clean action asks for, see DemoEpisode
  std::vector<float> waypoints;  // [steps, 3]
  std::vector<int32_t> target_class;  // [steps]
  std::vector<uint8_t> decision;      // [steps]
  int choices = 0;                    // TaskInfo::num_choices
};

// One task with its world and GL context; used on one thread, reused over episodes.
class DemoRecorder {
 public:
  // `cameras` are recorded at `image_size` squared, every `replan_steps` control steps.
  static Result<std::unique_ptr<DemoRecorder>> Create(const std::string& task,
                                                      const std::filesystem::path& asset_root,
                                                      std::vector<std::string> cameras,
                                                      int image_size, int replan_steps,
                                                      const TaskOptions& options = {});

  // A failed or diverged episode is a recording that says so. BadInput for the evaluation split.
  // `driver`: a policy that acts in stretches; null: none. What is recorded of the arm is what the
  // disturbed sensors say; the labels are the expert's, who knows the world.
  Result<DemoRecording> Record(const EpisodeKey& key, const DemoNoise& noise,
                               Phrasing phrasing = Phrasing::kCanonical,
                               DemoDriver* driver = nullptr,
                               DisturbanceLevel disturbance = DisturbanceLevel::kNone);

 private:
  DemoRecorder() = default;

  std::unique_ptr<Task> task_;
  std::unique_ptr<World> world_;
  std::unique_ptr<Renderer> renderer_;
  std::vector<std::string> cameras_;
  int image_size_ = 0;
  int replan_steps_ = 0;
};

}  // namespace kvla

#endif  // KVLA_HARNESS_DEMOS_DEMO_RECORDER_H_

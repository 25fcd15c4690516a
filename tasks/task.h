// SPDX-License-Identifier: Apache-2.0
// What a task is: a scene, a seeded placement, a script, a rule for success and an expert.
#ifndef KVLA_TASKS_TASK_H_
#define KVLA_TASKS_TASK_H_

#include <array>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "base/rng.h"
#include "base/status.h"
#include "sim/specs.h"
#include "sim/world.h"
#include "tasks/task_options.h"

namespace kvla {

inline constexpr int kMaxTargets = 10;  // classes of ExpertLabel::target that a task may have

inline constexpr std::array<double, 3> kNoPlace = {std::numeric_limits<double>::quiet_NaN(),
                                                   std::numeric_limits<double>::quiet_NaN(),
                                                   std::numeric_limits<double>::quiet_NaN()};

// How an episode's instruction is worded.
enum class Phrasing {
  kCanonical,  // the first of TaskInfo::instructions
  kSeen,       // any of TaskInfo::instructions, drawn from the episode's key
  kHeldOut,    // any of TaskInfo::held_out_instructions
  kSwapped,    // canonical, but of another target than the episode's: it should fail
};
// "canonical", "seen", "held_out", "swapped".
Result<Phrasing> ParsePhrasing(const std::string& name);

enum class StageKind {
  kMotor,     // skill alone
  kDecisive,  // needs the memory
};

struct StageInfo {
  std::string name;
  StageKind kind = StageKind::kMotor;
};

// When the fact to be remembered was visible, in seconds of simulated time.
struct CueInterval {
  double begin_s = 0;
  double end_s = 0;
};

// What looks like a cue and is to be ignored, in control steps.
struct Decoy {
  int begin = 0, end = 0;
  int what = 0;  // is shown: a class of the task's
};

struct TaskInfo {
  std::string name;
  std::string family;               // "object", "control", ...
  std::vector<std::string> delays;  // how long between cue and use
  std::vector<StageInfo> stages;    // in order
  std::string success_rule;
  std::string instruction;                         // canonical
  std::vector<std::string> instructions;           // to train on; the canonical one first
  std::vector<std::string> held_out_instructions;  // for evaluation only
  // What "{target}" in an instruction stands for, by Scenario::target; empty: no instruction names
  // a target.
  std::vector<std::string> target_names;
  double chance = 0;  // of the decisive stage without memory; 0 for a control task
  bool needs_memory = false;
  int num_targets = 0;  // classes of ExpertLabel::target, at most kMaxTargets; 0 if there are none
  // The first of them: what a decision is between. The others are what is seen or used on the way.
  int num_choices = 0;
  std::vector<double> bits;  // to be remembered, one for each of delays; empty: none
  bool has_twin = false;     // EpisodeKey::twin makes another episode; else it changes nothing

  // Sets `instruction` as well. REQUIRES: `seen` is not empty.
  void SetInstructions(std::vector<std::string> seen, std::vector<std::string> held_out);
};

// One episode, drawn from its key; immutable once placed.
struct Scenario {
  Split split = Split::kEvaluation;
  uint64_t run_seed = 0;
  std::string task;
  std::string delay;
  uint64_t episode = 0;

  std::string instruction;
  int horizon_steps = 0;  // control steps
  bool twin = false;      // see EpisodeKey
  std::vector<CueInterval> cues;
  std::vector<Decoy> decoys;  // in order of time; none meets a cue or another
  double decision_s = -1;     // when the remembered fact is needed first, seconds; -1: never
  int target = -1;            // cued class
  // Where a target class is used, for the first classes at least all choices, world metres; labels
  // for training, never an input of a policy. kNoPlace: nowhere in this episode.
  std::vector<std::array<double, 3>> target_places;
  std::vector<double> params;  // the schedule, defined by the task

  // Points into this scenario's strings.
  EpisodeKey Key() const { return {split, run_seed, task, delay, episode, twin}; }
  // Seconds at which the first cue begins, and from the last one's end to the decision; -1: none.
  double OnsetSeconds() const;
  double WaitSeconds() const;
};

// The instruction of an episode, worded as asked: a function of the episode's key. BadInput for
// kSwapped where no instruction names a target, and for kHeldOut where none is held out.
Result<std::string> InstructionOf(const TaskInfo& info, const Scenario& scenario,
                                  Phrasing phrasing);

struct Progress {
  std::vector<bool> reached;  // per stage of TaskInfo::stages
  bool success = false;
  bool done = false;  // success or final failure
  bool decisive_reached = false;
  bool decisive_right = false;

  // Share of the stages reached, in [0, 1].
  double Fraction() const;
};

// What the expert knows at a step, for auxiliary losses; never an input of a policy.
struct ExpertLabel {
  std::array<double, 3> waypoint{};  // where the current motion ends, world metres
  int target = -1;        // class that the image (cue lit) or the decision is about, -1 none
  bool decision = false;  // the remembered fact is being used now
};

// A scripted demonstrator. It decides from the world's state alone, so that a disturbed episode
// is taken up where it stands.
class Expert {
 public:
  virtual ~Expert() = default;
  virtual Action Act(const World& world) = 0;
  // About the world of the last Act().
  virtual ExpertLabel Label() const = 0;
};

// Immutable and thread-safe once made; binds to any World loaded from scene().
//
// One episode:  world.Reset(); s = Place(world, key); Update(world, s);
//   loop { observe; Step(action); Update(world, s); p = Evaluate(world, s); if (p.done) break; }
class Task {
 public:
  virtual ~Task() = default;
  virtual const TaskInfo& info() const = 0;
  virtual const TaskOptions& options() const = 0;
  virtual std::filesystem::path scene() const = 0;

  // Draws the episode's scenario from its key without a world: schedule, target, horizon, canonical
  // instruction.
  // BadInput for a delay that info() does not list.
  virtual Result<Scenario> Draw(const EpisodeKey& key) const = 0;
  // Resets the world and places objects and script memory for the episode.
  virtual Result<Scenario> Place(World& world, const EpisodeKey& key) const = 0;
  // The scene's script, once per control step and after RestoreState(): latches go into userdata
  // (state, hashed and saved), colours into the model as a function of scenario, time and userdata.
  virtual void Update(World& world, const Scenario& scenario) const = 0;
  // Pure.
  virtual Progress Evaluate(const World& world, const Scenario& scenario) const = 0;
  // `blind`: the cue is withheld, the target is guessed from `rng`.
  virtual std::unique_ptr<Expert> MakeExpert(const Scenario& scenario, bool blind,
                                             Rng rng) const = 0;
};

}  // namespace kvla

#endif  // KVLA_TASKS_TASK_H_

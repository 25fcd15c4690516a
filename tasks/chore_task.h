// SPDX-License-Identifier: Apache-2.0
// Base of the tasks in which work keeps the arm busy until the lamp turns white ("go"): schedule of
// the work, placement, latches, lamp, flashes and the first stages. A task adds what it shows,
// what it judges, and what an expert does after go.
#ifndef KVLA_TASKS_CHORE_TASK_H_
#define KVLA_TASKS_CHORE_TASK_H_

#include <array>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tasks/chore.h"
#include "tasks/task.h"

namespace kvla {

// Where a task keeps the numbers that the base works with. The defaults are for new tasks; the
// others say where theirs are, since states and schedules of recorded runs are to stay what they
// were.
struct ChoreLayout {
  // In Scenario::params: control steps, numbers of transfers.
  size_t go = 0;           // the lamp is white from here on
  size_t chores = 1;       // transfers that must be done by then
  size_t first_place = 2;  // where the block starts: 0 tray, 1 pad
  size_t flashes = 3;      // of the distractors, from here to the end
  // From when on the lamp is white where TaskOptions::cues is "anywhere", seconds: for the delays
  // short, medium, long and longer.
  std::array<double, 4> go_seconds = {18, 28, 50, 100};
  // In mjData.userdata.
  size_t chore = 0;            // first of ChoreMemory
  size_t transfers_at_go = 2;  // transfers done when the lamp turned white, -1 before
  size_t memory = 3;           // numbers in all
};

// A task's name, family, delays, rule and first stages ("first_chore", "kept_working"). `rule`:
// what decides, as a clause that the chore's part of the rule can follow.
TaskInfo ChoreTaskInfo(const std::string& name, const std::string& family, const std::string& rule);

// Added to the instructions of a task in which a sign says what is to be ignored, one to each in
// turn: with five to train on, the last three are held out.
inline constexpr const char* kSignClauses[] = {
    "; what is shown with a cyan bar does not count",
    "; heed only what comes with the magenta bar",
    "; ignore everything that is shown with the cyan bar",
    "; only what the magenta bar marks matters",
    "; disregard whatever appears while the bar is cyan",
    "; nothing that a cyan sign goes with is meant",
    "; what counts is only what you see while the sign is magenta",
    "; take no account of anything that the cyan sign accompanies"};

class ChoreTask : public Task {
 public:
  const TaskInfo& info() const final { return info_; }
  const TaskOptions& options() const final { return options_; }
  std::filesystem::path scene() const final { return scene_; }
  Result<Scenario> Draw(const EpisodeKey& key) const final;
  Result<Scenario> Place(World& world, const EpisodeKey& key) const final;
  void Update(World& world, const Scenario& scenario) const override;
  Progress Evaluate(const World& world, const Scenario& scenario) const final;

 protected:
  // What a state says of the use of what was to be remembered.
  struct Verdict {
    bool decided = false;      // a choice was made after go
    bool right = false;        // and it was the right one
    bool over = false;         // nothing can be changed any more
    std::vector<bool> stages;  // those after the stages of the work, in order
  };

  // `binds`: what the scene must have besides the block, the lamp and the lights.
  // `decoy_clauses`: what the instructions say of decoys, see kSignClauses.
  ChoreTask(const std::filesystem::path& asset_root, const TaskOptions& options, TaskInfo info,
            const ChoreLayout& layout, std::vector<BindFn> binds = {},
            std::span<const char* const> decoy_clauses = kSignClauses);

  // Draws cues, target and places and calls SetGo(). `scenario` has params up to the flashes, 0.
  // REQUIRES: random numbers are drawn in the same order for good.
  virtual void DrawEpisode(Rng& rng, Scenario* scenario) const = 0;
  // To be called by DrawEpisode() once: draws where the block starts, and sets what follows from
  // the step of go. The episode ends `seconds` after it.
  void SetGo(Rng& rng, int go, double seconds, Scenario* scenario) const;
  // Where cues are anywhere: the control step of go, and a first cue's, drawn uniformly from 4 s to
  // 5 s before go for cues that take `cue_steps` from the first one's begin to the last one's end;
  // not before the control step `earliest`.
  int GoStep(const Scenario& scenario) const;
  int DrawOnset(Rng& rng, int go, int cue_steps, int earliest = 0) const;
  // When the cue of a task with a single one begins, which takes `cue_steps`: a DrawOnset(), or 4
  // to 8 s into the episode where cues are early.
  int DrawCue(Rng& rng, const Scenario& scenario, int cue_steps) const;
  // Go: GoStep(), or a DrawSeconds() after `end` where cues are early, the last cue's.
  int DrawGo(Rng& rng, const Scenario& scenario, int end, std::pair<double, double> brief,
             std::pair<double, double> medium, std::pair<double, double> lasting) const;
  // When each of `lights` begins that are lit one after the other for kFlashSteps, `gap` seconds
  // apart; the first one as any first cue. Where cues are anywhere, its time tells nothing of the
  // gaps: there is room for the longest ones.
  std::vector<int> DrawSeries(Rng& rng, const Scenario& scenario, int lights,
                              std::pair<double, double> gap) const;
  // One of the numbers for the delays short, medium, long and longer.
  static double ForDelay(const std::array<double, 4>& numbers, const Scenario& scenario);
  // A class of `count`; the twin's is the next one.
  static int DrawClass(Rng& rng, int count, const Scenario& scenario);
  // Draws decoys of `classes` that last `steps`, one in about 8 s from 2 s to the control step
  // `end` (go if none is given): at least one before and after the cues where there is room, none
  // while `busy` (cues and what belongs to them) or within a second of it or of the end. They are
  // drawn apart from the cue, so that they tell nothing of its class. Nothing where options() have
  // none.
  void DrawDecoys(Rng& rng, int steps, int classes, const std::vector<CueInterval>& busy,
                  Scenario* scenario, std::optional<int> end = {}) const;
  // Lights the lamp in the color of `cue` (-1: no cue is shown now) or of the decoy that is shown,
  // and the sign where there are decoys.
  void ShowOnLamp(World& world, const Scenario& scenario, int cue) const;
  // The sign beside what is shown now.
  void ShowSign(World& world, const Scenario& scenario, bool cue) const;
  // What a decoy shows at a control step, -1 if none is shown.
  static int DecoyShown(const Scenario& scenario, int step);
  // While these are to be seen no distractor flashes. By default the cues; where there are decoys
  // nothing, so that a cue is not the time at which the small lights rest.
  virtual std::vector<CueInterval> Undisturbed(const Scenario& scenario) const;

  // Puts what is the task's own in its place; the block stands already.
  virtual void PlaceObjects(World& /*world*/, Rng& /*rng*/, const Scenario& /*scenario*/) const {}
  // The task's part of Update(), after chore and lamp (white after go, else off).
  virtual void Play(World& world, const Scenario& scenario, bool go) const = 0;
  virtual Verdict Judge(const World& world, const Scenario& scenario) const = 0;

  // For a task in which the first choice decides. `slot` of userdata: 1 + what was chosen, 0
  // nothing yet; the next one: the control step of that.
  static void KeepChoice(World& world, int choice, size_t slot);  // if it is the first; -1: none
  // `right`: the choice that is right, after go.
  Verdict FirstChoice(const World& world, const Scenario& scenario, size_t slot, int right) const;

  // The work itself, for a task that has another than the chore.
  virtual void PlaceWork(World& world, Rng& rng, const Scenario& scenario) const;
  virtual void UpdateWork(World& world, const Scenario& scenario) const;
  // `worked`: the transfers that were owed had been done at go.
  virtual std::vector<bool> WorkStages(const World& world, bool worked) const;

 private:
  TaskOptions options_;
  TaskInfo info_;
  std::filesystem::path scene_;
  ChoreLayout layout_;
  std::vector<BindFn> binds_;
};

// The demonstrator of such a task: works until go, lets go of the block, and does what is asked.
class ChoreExpert : public Expert {
 public:
  Action Act(const World& world) final;
  ExpertLabel Label() const final { return label_; }

 protected:
  // `rng`: of where it drops the block.
  ChoreExpert(const Scenario& scenario, const ChoreLayout& layout, Rng rng)
      : scenario_(scenario),
        go_(layout.go),
        chore_memory_(layout.chore),
        chore_(rng, layout.chore) {}

  // Takes the random numbers from another stream, as some tasks' experts do from after a guess on.
  void WorkWith(Rng rng) { chore_ = ChoreSkill(rng, chore_memory_); }
  const Scenario& scenario() const { return scenario_; }
  // A control step after go, with free hands; sets the label's waypoint.
  virtual Action AfterGo(const World& world, ExpertLabel* label) = 0;
  // Sets the label's target and whether this is a decision.
  virtual void LabelOf(const World& world, bool go, ExpertLabel* label) const = 0;

 private:
  Scenario scenario_;
  size_t go_;
  size_t chore_memory_;
  ChoreSkill chore_;
  bool free_ = false;  // after go: the gripper has let go of the block
  ExpertLabel label_;
};

}  // namespace kvla

#endif  // KVLA_TASKS_CHORE_TASK_H_

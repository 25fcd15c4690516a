// SPDX-License-Identifier: Apache-2.0
#include "tasks/chore_task.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

namespace kvla {
namespace {

constexpr double kEarliestCue = 4;  // seconds
constexpr double kLatestEarlyCue = 8;
constexpr double kShortestWait = 5;  // from the last cue's end to go
constexpr double kEarliestDecoy = 2;
constexpr double kDecoyApart = 1;       // from cues and other decoys
constexpr double kSecondsPerDecoy = 8;  // about one

// Each instruction ends with one of the clauses, in turn.
void TellOfDecoys(std::span<const char* const> clauses, TaskInfo* info) {
  size_t next = 0;
  const auto tell = [&](std::vector<std::string> texts) {
    for (std::string& text : texts) text += clauses[next++ % clauses.size()];
    return texts;
  };
  std::vector<std::string> seen = tell(info->instructions);
  info->SetInstructions(std::move(seen), tell(info->held_out_instructions));
}

}  // namespace

TaskInfo ChoreTaskInfo(const std::string& name, const std::string& family,
                       const std::string& rule) {
  TaskInfo info;
  info.name = name;
  info.family = family;
  info.delays = {"short", "medium", "long"};
  info.stages = {{"first_chore", StageKind::kMotor}, {"kept_working", StageKind::kMotor}};
  info.success_rule = fmt::format(
      "final: {}, and one transfer of the block was done for every 6 s before that", rule);
  return info;
}

ChoreTask::ChoreTask(const std::filesystem::path& asset_root, const TaskOptions& options,
                     TaskInfo info, const ChoreLayout& layout, std::vector<BindFn> binds,
                     std::span<const char* const> decoy_clauses)
    : options_(options),
      info_(std::move(info)),
      scene_(asset_root / "tasks" / info_.name / "scene.xml"),
      layout_(layout),
      binds_(std::move(binds)) {
  if (options_.CuesAnywhere()) {
    info_.delays.emplace_back("longer");
    if (!info_.bits.empty()) info_.bits.push_back(info_.bits.back());
  }
  if (options_.decoys && info_.needs_memory) TellOfDecoys(decoy_clauses, &info_);
}

Result<Scenario> ChoreTask::Draw(const EpisodeKey& key) const {
  auto started = StartScenario(info_, key);
  if (!started.ok()) return started;
  Scenario s = *std::move(started);
  Rng rng(key, "scenario");
  s.params.resize(layout_.flashes);
  DrawEpisode(rng, &s);
  AppendFlashes(DrawFlashesBetween(rng, s.horizon_steps, Undisturbed(s)), &s.params);
  // Names the target where the text has a place for it.
  Result<std::string> instruction = InstructionOf(info_, s, Phrasing::kCanonical);
  if (!instruction.ok()) return instruction.status();
  s.instruction = *std::move(instruction);
  return s;
}

void ChoreTask::SetGo(Rng& rng, int go, double seconds, Scenario* scenario) const {
  scenario->params[layout_.go] = go;
  scenario->params[layout_.chores] = ChoresOwed(go * kControlPeriod);
  scenario->params[layout_.first_place] = rng.UniformInt(2);
  scenario->horizon_steps = go + StepOf(seconds);
  if (info_.needs_memory) scenario->decision_s = go * kControlPeriod;
}

std::vector<CueInterval> ChoreTask::Undisturbed(const Scenario& scenario) const {
  return options_.decoys ? std::vector<CueInterval>() : scenario.cues;
}

double ChoreTask::ForDelay(const std::array<double, 4>& numbers, const Scenario& scenario) {
  constexpr std::array<std::string_view, 4> kDelays = {"short", "medium", "long", "longer"};
  const auto which = std::find(kDelays.begin(), kDelays.end(), scenario.delay) - kDelays.begin();
  return numbers.at(static_cast<size_t>(which));
}

int ChoreTask::GoStep(const Scenario& scenario) const {
  return StepOf(ForDelay(layout_.go_seconds, scenario));
}

int ChoreTask::DrawOnset(Rng& rng, int go, int cue_steps, int earliest) const {
  const int first = std::max(StepOf(kEarliestCue), earliest);
  const int last = go - StepOf(kShortestWait) - cue_steps;
  return first + rng.UniformInt(std::max(1, last - first + 1));
}

int ChoreTask::DrawCue(Rng& rng, const Scenario& scenario, int cue_steps) const {
  if (options_.CuesAnywhere()) return DrawOnset(rng, GoStep(scenario), cue_steps);
  return StepOf(rng.Uniform(kEarliestCue, kLatestEarlyCue));
}

int ChoreTask::DrawGo(Rng& rng, const Scenario& scenario, int end, std::pair<double, double> brief,
                      std::pair<double, double> medium, std::pair<double, double> lasting) const {
  if (options_.CuesAnywhere()) return GoStep(scenario);
  return end + StepOf(DrawSeconds(rng, scenario.delay, brief, medium, lasting));
}

std::vector<int> ChoreTask::DrawSeries(Rng& rng, const Scenario& scenario, int lights,
                                       std::pair<double, double> gap) const {
  const bool anywhere = options_.CuesAnywhere();
  std::vector<int> begins;
  double t = anywhere ? 0 : rng.Uniform(kEarliestCue, kLatestEarlyCue);
  for (int light = 0; light < lights; ++light) {
    begins.push_back(StepOf(t));
    const int end = begins.back() + kFlashSteps;
    t = end * kControlPeriod + rng.Uniform(gap.first, gap.second);
  }
  if (!anywhere) return begins;
  const int longest = lights * kFlashSteps + (lights - 1) * StepOf(gap.second);
  const int onset = DrawOnset(rng, GoStep(scenario), longest);
  for (int& begin : begins) begin += onset;
  return begins;
}

int ChoreTask::DrawClass(Rng& rng, int count, const Scenario& scenario) {
  return (rng.UniformInt(count) + (scenario.twin ? 1 : 0)) % count;
}

void ChoreTask::DrawDecoys(Rng& rng, int steps, int classes, const std::vector<CueInterval>& busy,
                           Scenario* scenario, std::optional<int> end) const {
  if (!options_.decoys) return;
  const int until = end.value_or(static_cast<int>(scenario->params[layout_.go]));
  const int apart = StepOf(kDecoyApart);
  std::vector<Decoy>& decoys = scenario->decoys;
  const auto place = [&](int from, int to) {
    const int room = to - steps - from;
    // What is drawn does not depend on whether it fits.
    const int begin = from + static_cast<int>(rng.Uniform() * std::max(0, room + 1));
    const Decoy decoy = {begin, begin + steps, rng.UniformInt(classes)};
    const auto meets = [&](int other_begin, int other_end) {
      return begin < other_end + apart && begin + steps + apart > other_begin;
    };
    const bool free = room >= 0 &&
                      std::none_of(busy.begin(), busy.end(),
                                   [&](const CueInterval& cue) {
                                     return meets(StepOf(cue.begin_s), StepOf(cue.end_s));
                                   }) &&
                      std::none_of(decoys.begin(), decoys.end(), [&](const Decoy& other) {
                        return meets(other.begin, other.end);
                      });
    if (free) decoys.push_back(decoy);
  };
  const int first = busy.empty() ? until : StepOf(busy.front().begin_s);
  const int last = busy.empty() ? 0 : StepOf(busy.back().end_s);
  place(StepOf(kEarliestDecoy), first - apart);
  place(last + apart, until - apart);
  for (int begin = StepOf(kEarliestDecoy); begin < until; begin += StepOf(kSecondsPerDecoy)) {
    place(begin, std::min(begin + StepOf(kSecondsPerDecoy), until - apart));
  }
  std::sort(decoys.begin(), decoys.end(),
            [](const Decoy& a, const Decoy& b) { return a.begin < b.begin; });
}

void ChoreTask::ShowOnLamp(World& world, const Scenario& scenario, int cue) const {
  const int color = cue >= 0 ? cue : DecoyShown(scenario, world.control_steps());
  if (color >= 0) SetCueLamp(world, Lamp::kColor, color);
  ShowSign(world, scenario, cue >= 0);
}

void ChoreTask::ShowSign(World& world, const Scenario& scenario, bool cue) const {
  if (!options_.decoys) return;
  const bool decoy = DecoyShown(scenario, world.control_steps()) >= 0;
  SetCueSign(world, cue ? Sign::kHeed : decoy ? Sign::kIgnore : Sign::kNone);
}

int ChoreTask::DecoyShown(const Scenario& scenario, int step) {
  for (const Decoy& decoy : scenario.decoys) {
    if (step >= decoy.begin && step < decoy.end) return decoy.what;
  }
  return -1;
}

Result<Scenario> ChoreTask::Place(World& world, const EpisodeKey& key) const {
  auto drawn = Draw(key);
  if (!drawn.ok()) return drawn;
  if (Status s = world.Reset(); !s.ok()) return s;
  if (Status s = CheckScene(world, binds_, layout_.memory); !s.ok()) return s;
  Rng rng(key, "placement");
  PlaceWork(world, rng, *drawn);
  PlaceObjects(world, rng, *drawn);
  world.data()->userdata[layout_.transfers_at_go] = -1;
  world.Forward();
  Update(world, *drawn);
  return drawn;
}

void ChoreTask::Update(World& world, const Scenario& scenario) const {
  UpdateWork(world, scenario);
  mjtNum* memory = world.data()->userdata;
  const int step = world.control_steps();
  const bool go = step >= scenario.params[layout_.go];
  mjtNum& at_go = memory[layout_.transfers_at_go];
  if (go && at_go < 0) at_go = memory[layout_.chore + kChoreTransfers];
  SetCueLamp(world, go ? Lamp::kWhite : Lamp::kOff);
  SetCueSign(world, Sign::kNone);
  Play(world, scenario, go);
  ShowFlashes(world, scenario.params, layout_.flashes, step);
  if (options_.HeldOut()) UseHeldOutShades(world);
}

Progress ChoreTask::Evaluate(const World& world, const Scenario& scenario) const {
  const bool worked =
      world.data()->userdata[layout_.transfers_at_go] >= scenario.params[layout_.chores];
  const Verdict verdict = Judge(world, scenario);
  Progress p;
  p.reached = WorkStages(world, worked);
  p.reached.insert(p.reached.end(), verdict.stages.begin(), verdict.stages.end());
  p.decisive_reached = info_.needs_memory && verdict.decided;
  p.decisive_right = info_.needs_memory && verdict.right;
  p.success = verdict.right && worked;
  p.done = verdict.over;
  return p;
}

void ChoreTask::KeepChoice(World& world, int choice, size_t slot) {
  mjtNum* memory = world.data()->userdata + slot;
  if (choice < 0 || memory[0] > 0) return;
  memory[0] = 1 + choice;
  memory[1] = world.control_steps();
}

ChoreTask::Verdict ChoreTask::FirstChoice(const World& world, const Scenario& scenario, size_t slot,
                                          int right) const {
  const mjtNum* memory = world.data()->userdata + slot;
  const bool any = memory[0] > 0;
  const bool decided = any && memory[1] >= scenario.params[layout_.go];
  const bool is_right = decided && static_cast<int>(memory[0]) - 1 == right;
  return {.decided = decided, .right = is_right, .over = any, .stages = {decided, is_right}};
}

void ChoreTask::PlaceWork(World& world, Rng& rng, const Scenario& scenario) const {
  PlaceChore(world, rng, static_cast<int>(scenario.params[layout_.first_place]), layout_.chore,
             options_.HeldOut());
}

void ChoreTask::UpdateWork(World& world, const Scenario&) const {
  UpdateChore(world, layout_.chore);
}

std::vector<bool> ChoreTask::WorkStages(const World& world, bool worked) const {
  return {world.data()->userdata[layout_.chore + kChoreTransfers] >= 1, worked};
}

Action ChoreExpert::Act(const World& world) {
  const bool go = world.control_steps() >= scenario_.params[go_];
  LabelOf(world, go, &label_);
  if (go && !chore_.busy()) free_ = true;
  if (free_) return AfterGo(world, &label_);
  const Action action = chore_.Act(world);
  label_.waypoint = chore_.waypoint();
  return action;
}

}  // namespace kvla

// SPDX-License-Identifier: Apache-2.0
// Every task as it was when the data file was written: texts, schedules, physics, colours, labels.
// Certificates, trained weights and recorded runs rest on these; whoever rebuilds a task must not
// move them. The states are compared bit by bit: MuJoCo's library is the same one everywhere and
// the project is compiled without contraction, so that any CPU with AVX2 computes the same, and a
// rounded hash would miss what a recorded run notices.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "tasks/disturbance.h"
#include "tests/tasks/play.h"

namespace kvla {
namespace {

constexpr int kEpisodes = 3;
constexpr int kSteps = 200;  // of an episode; those of the first delay are played to the end

class Hash {
 public:
  void Add(std::string_view text) { value_ = StableHash(text, value_ + text.size()); }
  void Add(double v) { AddBytes(&v, 1); }
  template <class T>
  void AddBytes(const T* first, size_t count) {
    Add(std::string_view(reinterpret_cast<const char*>(first), count * sizeof(T)));
  }
  template <class Range>
  void AddAll(const Range& range) {
    for (const auto& v : range) Add(v);
  }
  std::string Text() const { return fmt::format("{:016x}", value_); }

 private:
  uint64_t value_ = 0xcbf29ce484222325ULL;
};

std::string HashOf(const TaskInfo& info) {
  Hash h;
  h.Add(info.name);
  h.Add(info.family);
  h.AddAll(info.delays);
  for (const StageInfo& stage : info.stages) {
    h.Add(stage.name);
    h.Add(static_cast<double>(stage.kind));
  }
  h.Add(info.success_rule);
  h.Add(info.instruction);
  h.AddAll(info.instructions);
  h.AddAll(info.held_out_instructions);
  h.AddAll(info.target_names);
  h.Add(info.chance);
  for (const int n : {int{info.needs_memory}, info.num_targets, info.num_choices}) h.Add(n);
  return h.Text();
}

std::string HashOf(const Scenario& s) {
  Hash h;
  h.Add(s.task);
  h.Add(s.delay);
  for (const double v : {static_cast<double>(s.split), static_cast<double>(s.run_seed),
                         static_cast<double>(s.episode), static_cast<double>(s.horizon_steps),
                         s.decision_s, static_cast<double>(s.target)}) {
    h.Add(v);
  }
  for (const CueInterval& cue : s.cues) {
    h.Add(cue.begin_s);
    h.Add(cue.end_s);
  }
  for (const auto& place : s.target_places) {
    // The bits of a NaN are nobody's promise.
    for (const double v : place) h.Add(v == v ? v : -1e9);
  }
  h.AddAll(s.params);
  for (const Decoy& decoy : s.decoys) {
    for (const int v : {decoy.begin, decoy.end, decoy.what}) h.Add(v);
  }
  return h.Text();
}

std::string HashOfWords(const TaskInfo& info, const Scenario& s) {
  Hash h;
  h.Add(s.instruction);
  for (const auto phrasing :
       {Phrasing::kCanonical, Phrasing::kSeen, Phrasing::kHeldOut, Phrasing::kSwapped}) {
    const auto text = InstructionOf(info, s, phrasing);
    h.Add(text.ok() ? *text : "none");
  }
  return h.Text();
}

struct Episode {
  std::string delay;
  uint64_t number = 0;
  bool blind = false;
  DisturbanceLevel level = DisturbanceLevel::kNone;
  bool to_the_end = false;
};

// "steps, state, colours over time, labels and actions over time, progress over time".
std::string PlayHashes(const Task& task, World& world, const EpisodeKey& key, const Episode& e) {
  const auto placed = task.Place(world, key);
  EXPECT_TRUE(placed.ok()) << placed.status().message();
  const Scenario& s = *placed;
  const auto expert = task.MakeExpert(s, e.blind, Rng(key, "expert"));
  Disturbance disturbance(e.level, s, &world);
  const mjModel* m = world.model();
  const int end = e.to_the_end ? s.horizon_steps : std::min(kSteps, s.horizon_steps);
  Hash colors, labels, progress;
  int steps = 0;
  for (bool done = false; !done;) {
    const Progress p = task.Evaluate(world, s);
    for (const bool v : p.reached) progress.Add(v);
    for (const bool v : {p.success, p.done, p.decisive_reached, p.decisive_right}) progress.Add(v);
    std::vector<float> rgba(m->geom_rgba, m->geom_rgba + size_t{4} * m->ngeom);
    if (!task.options().decoys) {
      // All but the sign, which came later and which these episodes do not show.
      const int sign = mj_name2id(m, mjOBJ_GEOM, "cue_sign");
      EXPECT_EQ(rgba[static_cast<size_t>(4 * sign + 3)], 0);
      rgba.erase(rgba.begin() + 4 * sign, rgba.begin() + 4 * (sign + 1));
    }
    colors.AddBytes(rgba.data(), rgba.size());
    done = p.done || steps == end;
    if (done) break;
    const Action action = expert->Act(world);
    const ExpertLabel label = expert->Label();
    labels.AddAll(label.waypoint);
    labels.Add(label.target);
    labels.Add(label.decision);
    labels.AddAll(action.value);
    disturbance.Push();
    EXPECT_TRUE(world.Step(action).ok());
    ++steps;
    task.Update(world, s);
  }
  return fmt::format("{} {:016x} {} {} {}", steps, world.StateHash(), colors.Text(), labels.Text(),
                     progress.Text());
}

// `count` episodes a delay under the expert.
std::vector<Episode> Episodes(const TaskInfo& info, uint64_t count) {
  std::vector<Episode> episodes;
  for (const std::string& delay : info.delays) {
    for (uint64_t e = 0; e < count; ++e) {
      const bool first = delay == info.delays.front();
      episodes.push_back({delay, e, false, DisturbanceLevel::kNone, first});
    }
  }
  return episodes;
}

std::vector<std::string> Lines(const Task& task, const std::vector<Episode>& episodes) {
  const TaskInfo& info = task.info();
  const auto world = *World::Load(task.scene());
  std::vector<std::string> lines = {fmt::format("{} info {}", info.name, HashOf(info))};
  for (const Episode& e : episodes) {
    const EpisodeKey key = {Split::kValidation, 7, info.name, e.delay, e.number};
    const Scenario s = *task.Draw(key);
    lines.push_back(fmt::format("{} {} {} {} {} {} {} {}", info.name, e.delay, e.number,
                                e.blind ? "blind" : "expert", DisturbanceName(e.level), HashOf(s),
                                HashOfWords(info, s), PlayHashes(task, *world, key, e)));
  }
  return lines;
}

// A change that is meant: the message's lines replace the task's in the data file.
void ExpectLines(const std::string& data, const std::string& task,
                 const std::vector<std::string>& lines) {
  std::ifstream file(std::string(KVLA_ASSET_ROOT) + "/tests/tasks/data/" + data);
  std::vector<std::string> expected;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(task + " ")) expected.push_back(line);
  }
  ASSERT_FALSE(lines.empty());
  EXPECT_EQ(lines, expected) << fmt::format("{}\n", fmt::join(lines, "\n"));
}

class Golden : public testing::TestWithParam<std::string> {};

TEST_P(Golden, TextsSchedulesStatesColorsAndLabelsAreWhatTheyWere) {
  const auto task = MakeForTest(GetParam());
  std::vector<Episode> episodes;
  for (const Episode& e : Episodes(task->info(), kEpisodes)) {
    episodes.push_back(e);
    if (e.number + 1 < kEpisodes) continue;
    episodes.push_back({e.delay, 0, false, DisturbanceLevel::kMild, e.to_the_end});
    episodes.push_back({e.delay, 1, true, DisturbanceLevel::kNone, e.to_the_end});
  }
  ExpectLines("golden.txt", GetParam(), Lines(*task, episodes));
}

// With cues anywhere and decoys.
class SecondGolden : public testing::TestWithParam<std::string> {};

TEST_P(SecondGolden, IsWhatItWas) {
  const auto task = MakeForTest(GetParam(), {.cues = "anywhere", .decoys = true});
  ExpectLines("golden_second.txt", GetParam(), Lines(*task, Episodes(task->info(), 2)));
}

INSTANTIATE_TEST_SUITE_P(Tasks, SecondGolden,
                         testing::Values("shell_game", "put_back", "sort_by_cue", "search_drawers",
                                         "recall_color", "match_sample", "odd_one_out",
                                         "repeat_sequence", "count_presses", "press_named"),
                         [](const auto& info) { return info.param; });

INSTANTIATE_TEST_SUITE_P(Tasks, Golden, testing::ValuesIn(TaskNames()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace kvla

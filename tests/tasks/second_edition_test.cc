// SPDX-License-Identifier: Apache-2.0
// What TaskOptions ask of every task: cues anywhere, decoys with a sign, twins, layouts held out.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "tasks/buttons.h"
#include "tasks/chore.h"
#include "tasks/count_presses/count_presses.h"
#include "tasks/disturbance.h"
#include "tasks/match_sample/match_sample.h"
#include "tasks/odd_one_out/odd_one_out.h"
#include "tasks/press_named/press_named.h"
#include "tasks/recall_color/recall_color.h"
#include "tasks/repeat_sequence/repeat_sequence.h"
#include "tests/tasks/play.h"

namespace kvla {
namespace {

constexpr uint64_t kDraws = 400;
constexpr std::array<float, 4> kMagenta = {0.95f, 0.10f, 0.85f, 1},
                               kCyan = {0.10f, 0.85f, 0.95f, 1};

TaskOptions Second(const std::string& layout = "seen") {
  return {.cues = "anywhere", .decoys = true, .layout = layout};
}

// A task, and the longest time in seconds from the first cue's begin to the last one's end, by
// delay; none for a control.
struct Case {
  std::string name;
  std::vector<double> cue_s;
};
const Case kCases[] = {
    {"recall_color", {0.5, 0.5, 0.5, 0.5}},  {"match_sample", {0.8, 0.8, 0.8, 0.8}},
    {"odd_one_out", {1, 1, 1, 1}},           {"repeat_sequence", {4.5, 6.5, 8.5, 8.5}},
    {"count_presses", {8.9, 8.9, 8.9, 8.9}}, {"press_named", {}},
};

class SecondEdition : public testing::TestWithParam<Case> {
 protected:
  SecondEdition() : play_(GetParam().name, Second()) {}

  const TaskInfo& info() const { return play_.task->info(); }
  Scenario Draw(const std::string& delay, uint64_t episode) const {
    return *play_.task->Draw(play_.Key(delay, episode));
  }

  Play play_;
};

TEST_P(SecondEdition, HasALongerDelayAndBitsForIt) {
  EXPECT_EQ(info().delays, (std::vector<std::string>{"short", "medium", "long", "longer"}));
  EXPECT_EQ(info().bits.size(), info().needs_memory ? 4u : 0u);
  const auto early = MakeForTest(GetParam().name);
  EXPECT_EQ(early->Draw(TestKey(*early, "longer", 0)).status().code(), StatusCode::kBadInput);
  EXPECT_EQ(early->info().bits.size(), info().needs_memory ? 3u : 0u);
}

// Over the whole range, each eighth of it as often as another.
TEST_P(SecondEdition, TheFirstCueIsUniformFrom4sTo5sBeforeTheDecision) {
  if (!info().needs_memory) GTEST_SKIP() << "a control";
  for (size_t d = 0; d < info().delays.size(); ++d) {
    std::vector<double> onsets;
    double go = 0;
    for (uint64_t e = 0; e < kDraws; ++e) {
      const Scenario s = Draw(info().delays[d], e);
      onsets.push_back(s.OnsetSeconds());
      go = s.decision_s;
      EXPECT_GE(s.WaitSeconds(), 5 - 1e-9);
    }
    const double latest = go - 5 - GetParam().cue_s[d], range = latest - 4;
    ASSERT_GE(range, 3);
    std::array<int, 8> counts{};
    for (const double onset : onsets) {
      ASSERT_GE(onset, 4 - 1e-9);
      ASSERT_LE(onset, latest + 1e-9);
      // A step more: the last one belongs to the range.
      ++counts[static_cast<size_t>(8 * (onset - 4) / (range + kControlPeriod))];
    }
    for (const int n : counts) EXPECT_NEAR(n, kDraws / 8.0, 30) << info().delays[d];
    const auto [least, most] = std::ranges::minmax(onsets);
    EXPECT_LE(least, 4 + range / 50);
    EXPECT_GE(most, latest - range / 50);
  }
}

TEST_P(SecondEdition, ADelaysEpisodesAreAsLongAndTheLongestHave4000Steps) {
  std::vector<int> lengths;
  for (const std::string& delay : info().delays) {
    std::set<double> go;
    std::set<int> horizons;
    for (uint64_t e = 0; e < 50; ++e) {
      go.insert(Draw(delay, e).decision_s);
      horizons.insert(Draw(delay, e).horizon_steps);
    }
    EXPECT_EQ(go.size(), 1u);
    EXPECT_EQ(horizons.size(), 1u);
    lengths.push_back(*horizons.begin());
  }
  EXPECT_TRUE(std::ranges::is_sorted(lengths));
  EXPECT_LE(lengths[2], 2300);
  EXPECT_GT(lengths[3], 3500);
  EXPECT_LE(lengths[3], 4000);
}

TEST_P(SecondEdition, DecoysAreBeforeAndAfterTheCuesAndNeverMeetOne) {
  if (!info().needs_memory) GTEST_SKIP() << "a control";
  for (const std::string& delay : info().delays) {
    double per_episode = 0, seconds = 0;
    std::map<int, int> shown;
    for (uint64_t e = 0; e < kDraws; ++e) {
      const Scenario s = Draw(delay, e);
      const int first = StepOf(s.cues.front().begin_s), last = StepOf(s.cues.back().end_s);
      const int steps = StepOf(s.cues.front().end_s) - first;
      int before = 0, after = 0, end = 0;
      for (const Decoy& decoy : s.decoys) {
        EXPECT_EQ(decoy.end - decoy.begin, steps);
        EXPECT_GE(decoy.begin, end);
        end = decoy.end;
        for (const CueInterval& cue : s.cues) {
          EXPECT_TRUE(decoy.end <= StepOf(cue.begin_s) || decoy.begin >= StepOf(cue.end_s));
        }
        before += decoy.end <= first;
        after += decoy.begin >= last;
        ++shown[decoy.what];
      }
      EXPECT_GE(before, 1) << delay << e;
      EXPECT_GE(after, 1) << delay << e;
      EXPECT_LE(end, StepOf(s.decision_s) - 20);
      per_episode += static_cast<double>(s.decoys.size()) / kDraws;
      seconds = s.decision_s;
    }
    EXPECT_GT(per_episode, seconds / 14) << delay;
    EXPECT_LT(per_episode, seconds / 6 + 2) << delay;
    // As often this as that, whatever the cue is.
    for (const auto& [what, n] : shown) {
      EXPECT_NEAR(static_cast<double>(n) * static_cast<double>(shown.size()), kDraws * per_episode,
                  0.2 * kDraws * per_episode)
          << what;
    }
  }
}

// Magenta with a cue, cyan with a decoy, nothing else ever; the label knows the cue alone.
TEST_P(SecondEdition, TheSignSaysWhatToHeedAndTheLabelHeedsIt) {
  if (!info().needs_memory) GTEST_SKIP() << "a control";
  for (uint64_t e = 0; e < 5; ++e) {
    play_.Place("short", e);
    const Scenario& s = play_.scenario;
    const auto expert = play_.task->MakeExpert(s, false, Rng(s.Key(), "expert"));
    for (int step = 0; step < StepOf(s.decision_s); ++step) {
      play_.Show(step);
      expert->Act(*play_.world);
      const bool decoy = std::ranges::any_of(
          s.decoys, [step](const Decoy& d) { return step >= d.begin && step < d.end; });
      const std::array<float, 4> sign = play_.Color("cue_sign");
      if (CueShown(s, step)) {
        EXPECT_EQ(sign, kMagenta) << step;
        EXPECT_GE(expert->Label().target, 0) << step;
      } else {
        EXPECT_EQ(sign, (decoy ? kCyan : std::array<float, 4>{})) << step;
        EXPECT_EQ(expert->Label().target, -1) << step;
      }
    }
  }
}

// In the policy's front camera at 64x64, also where a disturbance has moved it.
TEST_P(SecondEdition, TheSignIsSeenByThePolicy) {
  if (!info().needs_memory) GTEST_SKIP() << "a control";
  const auto magenta = [](int r, int g, int b) { return r > 150 && b > 150 && g < 100; };
  const auto cyan = [](int r, int g, int b) { return r < 100 && g > 150 && b > 150; };
  for (uint64_t e = 0; e < 8; ++e) {
    play_.Place("short", e);
    const Scenario& s = play_.scenario;
    const Disturbance moved(e < 2 ? DisturbanceLevel::kNone : DisturbanceLevel::kMild, s,
                            play_.world.get());
    const int least = e < 2 ? 50 : 30;
    play_.Show(StepOf(s.cues.front().begin_s));
    EXPECT_GE(CountPixels(play_.Look(), magenta), least) << e;
    EXPECT_EQ(CountPixels(play_.Look(), cyan), 0) << e;
    play_.Show(s.decoys.front().begin);
    EXPECT_GE(CountPixels(play_.Look(), cyan), least) << e;
    EXPECT_EQ(CountPixels(play_.Look(), magenta), 0) << e;
  }
}

TEST_P(SecondEdition, SmallLightsFlashOnWhileACueShows) {
  if (!info().needs_memory) GTEST_SKIP() << "a control";
  const auto lit = [](Play& play) {
    int n = 0;
    for (uint64_t e = 0; e < 40; ++e) {
      play.Place("short", e);
      play.Show(StepOf(play.scenario.cues.front().begin_s) + 5);
      for (const char* light : {"light0", "light1", "light2"}) {
        n += play.Color(light) != std::array<float, 4>{0.16f, 0.16f, 0.17f, 1};
      }
    }
    return n;
  };
  EXPECT_GE(lit(play_), 5);
  Play plain(GetParam().name, {.cues = "anywhere"});
  EXPECT_EQ(lit(plain), 0);
}

TEST_P(SecondEdition, InstructionsTellOfTheSign) {
  const auto told = [](const std::string& text) {
    return text.find("cyan") != std::string::npos || text.find("magenta") != std::string::npos;
  };
  for (const auto* texts : {&info().instructions, &info().held_out_instructions}) {
    for (const std::string& text : *texts) EXPECT_EQ(told(text), info().needs_memory) << text;
  }
  EXPECT_EQ(info().instruction, info().instructions.front());
}

// What is to be remembered, and nothing else: neither before, nor between, nor after.
TEST_P(SecondEdition, ATwinDiffersInTheCueAlone) {
  Play twin(GetParam().name, Second());
  for (uint64_t e = 0; e < 4; ++e) {
    play_.Place("short", e);
    EpisodeKey key = play_.Key("short", e);
    key.twin = true;
    twin.scenario = *twin.task->Place(*twin.world, key);
    const Scenario &a = play_.scenario, &b = twin.scenario;
    EXPECT_EQ(a.target != b.target, info().has_twin);
    EXPECT_EQ(b.twin, true);
    EXPECT_EQ(a.instruction, b.instruction);
    EXPECT_EQ(a.target_places, b.target_places);
    ASSERT_EQ(a.params.size(), b.params.size());
    int differ = 0;
    for (size_t i = 0; i < a.params.size(); ++i) differ += a.params[i] != b.params[i];
    EXPECT_LE(differ, info().has_twin ? 1 : 0);
    EXPECT_EQ(play_.world->StateHash(), twin.world->StateHash());
    for (int step = 0; step <= StepOf(a.decision_s); ++step) {
      for (Play* play : {&play_, &twin}) play->Show(step);
      const int n = 4 * play_.world->model()->ngeom;
      const bool same =
          std::equal(play_.world->model()->geom_rgba, play_.world->model()->geom_rgba + n,
                     twin.world->model()->geom_rgba) &&
          std::equal(play_.world->data()->mocap_pos,
                     play_.world->data()->mocap_pos + 3 * play_.world->model()->nmocap,
                     twin.world->data()->mocap_pos);
      EXPECT_EQ(same, !(info().has_twin && CueShown(a, step))) << step;
    }
  }
}

// Whatever colors an object has in seen episodes, its shade is another one, nearest to its name.
TEST_P(SecondEdition, HeldOutLayoutsHaveOtherShadesAndStarts) {
  constexpr double kSeen = 0.012 + 1e-9, kMost = 1.6 * 0.012 + 1e-9;
  Play held_out(GetParam().name, Second("held_out"));
  const auto colors = [](Play& play) {
    std::set<std::array<float, 4>> seen;
    for (uint64_t e = 0; e < 6; ++e) {
      play.Place("short", e);
      for (int step = 0; step < StepOf(10); step += 5) {
        play.Show(step);
        for (const char* light : {"light0", "light1", "light2"}) seen.insert(play.Color(light));
      }
    }
    return seen;
  };
  const auto a = colors(play_), b = colors(held_out);
  ASSERT_EQ(a.size(), 5u);  // and off
  ASSERT_EQ(b.size(), 5u);
  for (const auto& shade : b) {
    std::vector<std::pair<double, bool>> by_distance;
    for (const auto& color : a) {
      double square = 0;
      for (size_t i = 0; i < 3; ++i) square += std::pow(shade[i] - color[i], 2);
      by_distance.emplace_back(std::sqrt(square), color == shade);
    }
    std::ranges::sort(by_distance);
    EXPECT_LT(by_distance[0].first, 0.15);
    EXPECT_GT(by_distance[1].first, 0.5);
  }
  int kept = 0;
  for (const auto& shade : b) kept += static_cast<int>(a.count(shade));
  EXPECT_EQ(kept, 1);  // off

  for (Play* play : {&play_, &held_out}) {
    for (uint64_t e = 0; e < 50; ++e) {
      play->Place("short", e);
      const Vec3 block = BlockPosition(*play->world);
      const auto& place = block[1] > 0 ? kPad : kTray;
      const double off = std::max(std::abs(block[0] - place[0]), std::abs(block[1] - place[1]));
      EXPECT_EQ(off > kSeen, play == &held_out) << off;
      EXPECT_LE(off, kMost);
    }
  }
}

TEST_P(SecondEdition, TheExpertSolvesIt) {
  int solved = 0;
  for (uint64_t e = 0; e < 20; ++e) {
    solved += RunExpert(*play_.task, *play_.world, play_.Key("short", e)).progress.success;
  }
  EXPECT_GE(solved, 19);
  for (uint64_t e = 0; e < 3; ++e) {
    EXPECT_TRUE(RunExpert(*play_.task, *play_.world, play_.Key("long", e)).progress.success) << e;
  }
  Play held_out(GetParam().name, Second("held_out"));
  for (uint64_t e = 0; e < 3; ++e) {
    const EpisodeKey key = held_out.Key("short", e);
    EXPECT_TRUE(RunExpert(*held_out.task, *held_out.world, key).progress.success) << e;
  }
}

INSTANTIATE_TEST_SUITE_P(Tasks, SecondEdition, testing::ValuesIn(kCases),
                         [](const auto& info) { return info.param.name; });

// The orders (or pairs of colors) at params[first ...] of the episodes of a task.
std::set<std::vector<double>> Orders(const std::string& name, const TaskOptions& options,
                                     size_t first, size_t count) {
  const auto task = MakeForTest(name, options);
  std::set<std::vector<double>> orders;
  for (uint64_t e = 0; e < kDraws; ++e) {
    const Scenario s = *task->Draw(TestKey(*task, "short", e));
    const auto begin = s.params.begin() + static_cast<std::ptrdiff_t>(first);
    orders.insert({begin, begin + static_cast<std::ptrdiff_t>(count)});
  }
  return orders;
}

struct OrderCase {
  const char* task;
  size_t first, count;  // in params
  size_t all;
};

// A third of them, in which each thing has each place as often.
TEST(HeldOutOrders, AreNeverSeenWhereCuesAreAnywhere) {
  for (const OrderCase& c : {OrderCase{"recall_color", RecallColor::kSlotColor, 4, 24},
                             OrderCase{"press_named", PressNamed::kSlotColor, 4, 24},
                             OrderCase{"match_sample", MatchSample::kSlotOf, 4, 24},
                             OrderCase{"odd_one_out", OddOneOut::kCommonColor, 2, 12}}) {
    const auto seen = Orders(c.task, Second(), c.first, c.count);
    const auto held_out = Orders(c.task, Second("held_out"), c.first, c.count);
    EXPECT_EQ(seen.size(), c.all * 2 / 3) << c.task;
    EXPECT_EQ(held_out.size(), c.all / 3) << c.task;
    for (const auto& order : held_out) EXPECT_FALSE(seen.contains(order)) << c.task;
    EXPECT_EQ(Orders(c.task, {}, c.first, c.count).size(), c.all) << c.task;
    EXPECT_EQ(Orders(c.task, {.layout = "held_out"}, c.first, c.count), held_out) << c.task;
    for (const auto* orders : {&seen, &held_out}) {
      std::map<std::pair<size_t, double>, size_t> at;
      for (const auto& order : *orders) {
        for (size_t i = 0; i < order.size(); ++i) ++at[{i, order[i]}];
      }
      EXPECT_EQ(at.size(), 4 * c.count);
      for (const auto& [where, n] : at) EXPECT_EQ(n, orders->size() / 4) << c.task;
    }
  }
}

TEST(SecondRecallColor, ADecoyLightsTheSameLamp) {
  Play play("recall_color", Second());
  play.Place("medium", 1);
  const Scenario& s = play.scenario;
  const auto cap_of = [&](int color) {
    for (size_t slot = 0; slot < kRowOfFour; ++slot) {
      if (s.params[RecallColor::kSlotColor + slot] == color) {
        return play.Color("button" + std::to_string(slot));
      }
    }
    return std::array<float, 4>{};
  };
  play.Show(StepOf(s.cues[0].begin_s));
  EXPECT_EQ(play.Color("cue_lamp"), cap_of(s.target));
  for (const Decoy& decoy : s.decoys) {
    play.Show(decoy.begin);
    EXPECT_EQ(play.Color("cue_lamp"), cap_of(decoy.what));
    play.Show(decoy.end);
    EXPECT_EQ(play.Color("cue_lamp"), (std::array<float, 4>{0.16f, 0.16f, 0.17f, 1}));
  }
}

TEST(SecondMatchSample, ADecoyStandsOnTheLampBeforeTheLineUp) {
  Play play("match_sample", Second());
  const auto stands = [&] {
    int which = -1;
    for (int shape = 0; shape < MatchSample::kShapes; ++shape) {
      const int body = *play.world->BodyId("shape" + std::to_string(shape));
      const mjtNum* at = play.world->data()->xpos + 3 * body;
      if (at[2] < 0) continue;
      EXPECT_NEAR(at[0], 0.735, 1e-9);
      EXPECT_EQ(which, -1);
      which = shape;
    }
    return which;
  };
  for (uint64_t e = 0; e < 10; ++e) {
    play.Place("medium", e);
    const Scenario& s = play.scenario;
    play.Show(StepOf(s.cues[0].begin_s));
    EXPECT_EQ(stands(), s.params[MatchSample::kShown]);
    for (const Decoy& decoy : s.decoys) {
      play.Show(decoy.begin);
      EXPECT_EQ(stands(), decoy.what);
      play.Show(decoy.end);
      EXPECT_EQ(stands(), -1);
    }
    const double line_up = s.params[MatchSample::kLineUp];
    EXPECT_GE(line_up, s.decoys.back().end + 20);
    EXPECT_GE(line_up, StepOf(s.decision_s - 2));
    EXPECT_LE(line_up, StepOf(s.decision_s - 1));
  }
}

TEST(SecondOddOneOut, ADecoyHasItsOddBallInTheSameColors) {
  Play play("odd_one_out", Second());
  play.Place("medium", 1);
  const auto odd = [&] {
    std::map<std::array<float, 4>, std::vector<int>> slots;
    for (int slot = 0; slot < kRowOfFour; ++slot) {
      slots[play.Color("ball" + std::to_string(slot))].push_back(slot);
    }
    for (const auto& [color, where] : slots) {
      if (where.size() == 1 && color[3] == 1) return where.front();
    }
    return -1;
  };
  const Scenario& s = play.scenario;
  play.Show(StepOf(s.cues[0].begin_s));
  EXPECT_EQ(odd(), s.target);
  for (const Decoy& decoy : s.decoys) {
    play.Show(decoy.begin);
    EXPECT_EQ(odd(), decoy.what);
    play.Show(decoy.end);
    EXPECT_EQ(odd(), -1);
  }
}

TEST(SecondRepeatSequence, ADecoyLightsACapAndNeverWithinTheSequence) {
  Play play("repeat_sequence", Second());
  play.Place("medium", 1);
  const Scenario& s = play.scenario;
  for (const Decoy& decoy : s.decoys) {
    play.Show(decoy.begin);
    for (int cap = 0; cap < RepeatSequence::kButtons; ++cap) {
      EXPECT_EQ(play.Color("button" + std::to_string(cap))[0] > 0.8f, cap == decoy.what);
    }
    EXPECT_TRUE(decoy.end <= StepOf(s.cues.front().begin_s) ||
                decoy.begin >= StepOf(s.cues.back().end_s));
  }
}

// Blinks that do not count have the others' color and come between them as well; neither they nor
// the first one's time tell how many count.
TEST(SecondCountPresses, DecoysBlinkLikeTheOthersAndTellNothing) {
  Play play("count_presses", Second());
  play.Place("short", 1);
  const Scenario& s = play.scenario;
  play.Show(StepOf(s.cues[0].begin_s));
  const auto color = play.Color("cue_lamp");
  EXPECT_GT(*std::max_element(color.begin(), color.begin() + 3), 0.5f);
  for (const Decoy& decoy : s.decoys) {
    play.Show(decoy.begin);
    EXPECT_EQ(play.Color("cue_lamp"), color);
  }
  std::map<int, std::vector<double>> onsets, decoys;
  int between = 0;
  for (uint64_t e = 0; e < 2000; ++e) {
    const Scenario drawn = *play.task->Draw(play.Key("short", e));
    onsets[drawn.target].push_back(drawn.OnsetSeconds());
    decoys[drawn.target].push_back(static_cast<double>(drawn.decoys.size()));
    between += std::ranges::any_of(drawn.decoys, [&drawn](const Decoy& decoy) {
      return decoy.begin > StepOf(drawn.cues.front().begin_s) &&
             decoy.end < StepOf(drawn.cues.back().end_s);
    });
  }
  EXPECT_GT(between, 500);
  const auto mean = [](const std::vector<double>& v) {
    double sum = 0;
    for (const double x : v) sum += x;
    return sum / static_cast<double>(v.size());
  };
  for (int count = 1; count <= CountPresses::kMostBlinks; ++count) {
    EXPECT_NEAR(onsets[count].size(), 500, 80);
    EXPECT_NEAR(mean(onsets[count]), mean(onsets[1]), 0.4) << count;
    EXPECT_NEAR(mean(decoys[count]), mean(decoys[1]), 0.2) << count;
  }
}

}  // namespace
}  // namespace kvla

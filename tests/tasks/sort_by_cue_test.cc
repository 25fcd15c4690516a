// SPDX-License-Identifier: Apache-2.0
#include "tasks/sort_by_cue/sort_by_cue.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <set>

#include "tests/tasks/editions.h"
#include "tests/tasks/play.h"

namespace kvla {
namespace {

constexpr double kStep = kControlPeriod + 1e-9;

int At(const Scenario& s, size_t first, int i = 0) {
  return static_cast<int>(s.params[first + static_cast<size_t>(i)]);
}

TEST(SortByCue, ScheduleKeepsItsPromises) {
  Play play("sort_by_cue");
  const Delays delays = {{"short", {5, 8}}, {"medium", {10, 14}}, {"long", {22, 26}}};
  for (const auto& [delay, range] : delays) {
    const int items = delay == "short" ? 3 : delay == "medium" ? 4 : 5;
    std::array<int, SortByCue::kBins> bins{};
    std::set<std::pair<int, int>> orders;  // which cues are asked for, in which order
    for (uint64_t e = 0; e < 400; ++e) {
      auto s = play.task->Draw(play.Key(delay, e));
      ASSERT_TRUE(s.ok());
      ASSERT_EQ(s->cues.size(), static_cast<size_t>(items));
      EXPECT_EQ(At(*s, SortByCue::kNumItems, 0), items);
      EXPECT_GE(s->cues[0].begin_s, 4.0);
      std::set<int> shown, colors;
      for (int i = 0; i < items; ++i) {
        const size_t cue = static_cast<size_t>(i);
        if (i > 0) {
          EXPECT_GE(s->cues[cue].begin_s, s->cues[cue - 1].end_s + 1.5 - kStep);
        }
        const int color = At(*s, SortByCue::kCueColor, i);
        colors.insert(color);
        shown.insert(At(*s, SortByCue::kBinOf, color));
        EXPECT_GE(At(*s, SortByCue::kWaitsAt, color), 0);
      }
      EXPECT_EQ(shown.size(), static_cast<size_t>(items));
      EXPECT_EQ(colors.size(), static_cast<size_t>(items));
      EXPECT_GE(*shown.begin(), 0);
      const double wait = s->decision_s - s->cues.back().end_s;
      EXPECT_GE(wait, range.first - kStep);
      EXPECT_LE(wait, range.second + kStep);
      EXPECT_LE(s->horizon_steps, 2000);
      std::pair<int, int> order = {-1, -1};
      for (int i = 0; i < items; ++i) {
        if (At(*s, SortByCue::kCueColor, i) == At(*s, SortByCue::kAsked, 0)) order.first = i;
        if (At(*s, SortByCue::kCueColor, i) == At(*s, SortByCue::kAsked, 1)) order.second = i;
      }
      EXPECT_TRUE(order.first >= 0 && order.second >= 0 && order.first != order.second);
      orders.insert(order);
      ++bins[static_cast<size_t>(s->target)];
      EXPECT_EQ(s->target, At(*s, SortByCue::kBinOf, At(*s, SortByCue::kAsked, 0)));
    }
    EXPECT_EQ(orders.size(), static_cast<size_t>(items * (items - 1)));
    for (const int n : bins) EXPECT_NEAR(n, 80, 32);
  }
}

// While a pair is shown its bin has the block's colour for the front camera; blocks that are not in
// play are not to be seen.
TEST(SortByCue, CuesAndBlocksAreSeen) {
  Play play("sort_by_cue");
  auto is = [](int color) {
    return [color](int r, int g, int b) {
      return color == 0   ? r > 220 && g < 110 && b < 110
             : color == 1 ? g > 180 && r < 110 && b < 110
             : color == 2 ? b > 220 && r < 110 && g < 140
             : color == 3 ? r > 220 && g > 200 && b < 110
                          : r > 190 && g < 110 && b > 190;
    };
  };
  for (uint64_t e = 0; e < 3; ++e) {
    play.Place("short", e);
    const Scenario& s = play.scenario;
    play.Idle(3);
    std::array<int, SortByCue::kBins> before{};
    for (int c = 0; c < SortByCue::kBins; ++c) {
      before[static_cast<size_t>(c)] = CountPixels(play.Look(), is(c));
      const int geom = play.world->Ids<SortIds>().items[static_cast<size_t>(c)];
      EXPECT_EQ(play.world->model()->geom_rgba[4 * geom + 3] > 0, At(s, SortByCue::kBinOf, c) >= 0);
    }
    for (int i = 0; i < 3; ++i) {
      play.Idle(StepOf(s.cues[static_cast<size_t>(i)].begin_s));
      const int color = At(s, SortByCue::kCueColor, i);
      const Image image = play.Look();
      for (int c = 0; c < SortByCue::kBins; ++c) {
        const int more = CountPixels(image, is(c)) - before[static_cast<size_t>(c)];
        if (c == color) {
          EXPECT_GE(more, 12) << c;
        } else {
          EXPECT_LE(more, 2) << c;
        }
      }
      play.Idle(StepOf(s.cues[static_cast<size_t>(i)].end_s));
      EXPECT_LE(CountPixels(play.Look(), is(color)), before[static_cast<size_t>(color)] + 2);
    }
    play.Idle(static_cast<int>(s.params[SortByCue::kGo]));
    const int asked = At(s, SortByCue::kAsked, 0);
    EXPECT_GE(CountPixels(play.Look(), is(asked)) - before[static_cast<size_t>(asked)], 20);
  }
}

TEST(SortByCue, OutcomesOfSorting) {
  Play play("sort_by_cue");
  // Right, the first wrong, the second wrong.
  for (int wrong = -1; wrong < SortByCue::kAsks; ++wrong) {
    play.Place("short", 2);
    Scenario told = play.scenario;
    if (wrong >= 0) {
      // A bin that is no block's.
      std::set<int> free = {0, 1, 2, 3, 4};
      for (int c = 0; c < SortByCue::kBins; ++c) free.erase(At(told, SortByCue::kBinOf, c));
      const int color = At(told, SortByCue::kAsked, wrong);
      told.params[SortByCue::kBinOf + static_cast<size_t>(color)] = *free.begin();
    }
    const Progress p = play.Finish(told);
    EXPECT_TRUE(p.done && p.decisive_reached) << wrong;
    EXPECT_EQ(p.success, wrong < 0) << wrong;
    EXPECT_EQ(p.decisive_right, wrong < 0) << wrong;
    EXPECT_EQ(play.Memory(SortByCue::kPut), wrong < 0 ? 2 : wrong);
  }
}

// What happens to blocks that are not asked for, and before any is, decides nothing.
TEST(SortByCue, OnlyTheBlockAskedForCounts) {
  Play play("sort_by_cue");
  play.Place("short", 2);
  const Scenario& s = play.scenario;
  const int first = At(s, SortByCue::kAsked, 0), second = At(s, SortByCue::kAsked, 1);
  const int bin = At(s, SortByCue::kBinOf, second);
  auto put = [&](int color, int where) {
    PlaceBlock(*play.world, SortByCue::kBinX, SortByCue::SlotY(where), 0,
               SortByCue::BlockOf(*play.world, color));
    play.world->Forward();
    play.Idle(play.world->control_steps() + 2);
  };
  put(first, At(s, SortByCue::kBinOf, first));
  EXPECT_EQ(play.Memory(SortByCue::kPut), 0);
  play.Idle(static_cast<int>(s.params[SortByCue::kGo]) + 1);
  put(second, bin);
  EXPECT_EQ(play.Memory(SortByCue::kPut), 0);
  EXPECT_EQ(play.Memory(SortByCue::kWrong), 0);
}

TEST(SortByCue, LabelsFollowTheBinsAndTheBlocksToFetch) {
  Play play("sort_by_cue");
  play.Place("short", 1);
  const Scenario s = play.scenario;
  std::set<int> cued;
  int fetching = 0, putting = 0;
  const Progress p = play.Finish(s, [&](int step, const ExpertLabel& label) {
    const bool go = step >= s.params[SortByCue::kGo];
    EXPECT_TRUE(go || !label.decision);
    if (go) {
      const int put = static_cast<int>(play.Memory(SortByCue::kPut));
      const int color = At(s, SortByCue::kAsked, put);
      const int bin = At(s, SortByCue::kBinOf, color);
      EXPECT_EQ(label.target, label.decision ? bin : SortByCue::BlockClass(color));
      (label.decision ? putting : fetching) += 1;
      EXPECT_TRUE(label.decision || play.Memory(SortByCue::kRaised) == 0);
    } else if (label.target >= 0) {
      cued.insert(label.target);
    }
  });
  EXPECT_TRUE(p.success);
  EXPECT_EQ(cued.size(), 3u);
  for (int c = 0; c < SortByCue::kBins; ++c) {
    const auto& place = s.target_places[static_cast<size_t>(SortByCue::BlockClass(c))];
    const int slot = At(s, SortByCue::kWaitsAt, c);
    EXPECT_EQ(std::isnan(place[0]), slot < 0);
    EXPECT_TRUE(slot < 0 || place[1] == SortByCue::SlotY(slot));
  }
  EXPECT_GT(fetching, 10);
  EXPECT_GT(putting, 10);
}

// A bin lights up as in a cue; only the sign tells them apart.
TEST(SortByCueDecoys, ABinFlashesBesideACyanBar) {
  Play play("sort_by_cue", kDecoys);
  const auto cyan = [](int r, int g, int b) { return r < 110 && g > 190 && b > 190; };
  const auto magenta = [](int r, int g, int b) { return r > 200 && g < 110 && b > 190; };
  const Decoy decoy = FindDecoy(&play, [](const Decoy&) { return true; });
  const Scenario& s = play.scenario;
  const auto bins = play.world->Ids<SortIds>().bins;
  const auto items = play.world->Ids<SortIds>().items;
  const auto lit = [&](int bin, int color) {
    return std::equal(ColorOf(*play.world, items[static_cast<size_t>(color)]),
                      ColorOf(*play.world, items[static_cast<size_t>(color)]) + 4,
                      ColorOf(*play.world, bins[static_cast<size_t>(bin)]));
  };
  const int bin = decoy.what % SortByCue::kBins;
  const int color = At(s, SortByCue::kCueColor, decoy.what / SortByCue::kBins);
  play.Idle(decoy.begin);
  EXPECT_TRUE(lit(bin, color));
  EXPECT_GE(CountPixels(play.Look(), cyan), 20);
  play.Idle(decoy.end);
  EXPECT_FALSE(lit(bin, color));
  EXPECT_EQ(CountPixels(play.Look(), cyan), 0);
  play.Idle(At(s, SortByCue::kCueBegin));
  const int cued = At(s, SortByCue::kCueColor);
  EXPECT_TRUE(lit(At(s, SortByCue::kBinOf, cued), cued));
  EXPECT_GE(CountPixels(play.Look(), magenta), 20);
}

TEST(SortByCueLayout, TwoBlocksWaitWhereNoDemonstrationHasThem) {
  const auto seen = MakeForTest("sort_by_cue", kAnywhere);
  const auto held_out = MakeForTest("sort_by_cue", kHeldOut);
  for (const std::string& delay : seen->info().delays) {
    std::set<std::pair<int, int>> places;  // a block's color and where it waits
    const auto each = [](const Scenario& s, const auto& use) {
      for (int color = 0; color < SortByCue::kBins; ++color) {
        const int slot = At(s, SortByCue::kWaitsAt, color);
        if (slot >= 0) use(std::pair(color, slot));
      }
    };
    for (uint64_t e = 0; e < 400; ++e) {
      each(*seen->Draw(TestKey(*seen, delay, e)), [&](const auto& at) { places.insert(at); });
    }
    EXPECT_EQ(places.size(), 20u);
    std::array<int, SortByCue::kBins> bins{};
    for (uint64_t e = 0; e < 200; ++e) {
      const Scenario s = *held_out->Draw(TestKey(*held_out, delay, e));
      int unseen = 0;
      each(s, [&](const auto& at) { unseen += !places.contains(at); });
      EXPECT_GE(unseen, 2);
      ++bins[static_cast<size_t>(s.target)];
    }
    for (const int n : bins) EXPECT_NEAR(n, 40, 24);  // the answer is as free as ever
  }
}

}  // namespace
}  // namespace kvla

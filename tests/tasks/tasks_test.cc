// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "sim/renderer.h"
#include "tasks/buttons.h"
#include "tasks/recall_color/recall_color.h"
#include "tasks/tabletop.h"
#include "tasks/task_list.h"
#include "tests/tasks/play.h"

namespace kvla {
namespace {

TEST(TaskList, UnknownNameSuggests) {
  auto task = MakeTask("recal_color", KVLA_ASSET_ROOT);
  ASSERT_FALSE(task.ok());
  EXPECT_EQ(task.status().code(), StatusCode::kBadInput);
  EXPECT_NE(task.status().message().find("recall_color"), std::string::npos);
}

TEST(TaskList, UnknownDelayIsBadInput) {
  auto task = MakeForTest("recall_color");
  EXPECT_EQ(task->Draw(TestKey(*task, "forever", 0)).status().code(), StatusCode::kBadInput);
}

TEST(EveryTask, PlacementDependsOnTheKeyAlone) {
  for (const std::string& name : TaskNames()) {
    auto task = MakeForTest(name);
    auto a = *World::Load(task->scene());
    auto b = *World::Load(task->scene());
    const std::string delay = task->info().delays.front();
    ASSERT_TRUE(task->Place(*b, TestKey(*task, delay, 9)).ok());  // leaves no trace
    std::set<uint64_t> hashes;
    for (uint64_t e = 0; e < 5; ++e) {
      auto sa = task->Place(*a, TestKey(*task, delay, e));
      auto sb = task->Place(*b, TestKey(*task, delay, e));
      ASSERT_TRUE(sa.ok() && sb.ok());
      EXPECT_EQ(sa->params, sb->params);
      EXPECT_EQ(a->StateHash(), b->StateHash());
      hashes.insert(a->StateHash());
    }
    EXPECT_EQ(hashes.size(), 5u);
    EpisodeKey key = TestKey(*task, delay, 0);
    ASSERT_TRUE(task->Place(*a, key).ok());
    key.split = Split::kTrain;
    ASSERT_TRUE(task->Place(*b, key).ok());
    EXPECT_NE(a->StateHash(), b->StateHash());
  }
}

// The control step looks no name up: what is missing must be said before it.
TEST(EveryTask, RefusesASceneThatLacksItsObjects) {
  auto world = *World::Load(MakeForTest("pick_place")->scene());
  for (const std::string& name : TaskNames()) {
    auto task = MakeForTest(name);
    const Status status = task->Place(*world, TestKey(*task, "short", 0)).status();
    if (name == "pick_place") {
      EXPECT_TRUE(status.ok()) << status.message();
      continue;
    }
    EXPECT_EQ(status.code(), StatusCode::kBadInput) << name;
    EXPECT_NE(status.message().find("pick_place/scene.xml: the scene has no "), std::string::npos)
        << name << ": " << status.message();
  }
}

TEST(EveryTask, ExpertRecoversFromNoise) {
  for (const std::string& name : TaskNames()) {
    auto task = MakeForTest(name);
    auto world = *World::Load(task->scene());
    int solved = 0;
    const int n = 5;
    for (int e = 0; e < n; ++e) {
      auto s = task->Place(*world, TestKey(*task, task->info().delays.front(), e));
      ASSERT_TRUE(s.ok());
      auto expert = task->MakeExpert(*s, false, Rng(s->Key(), "expert"));
      Rng noise(s->Key(), "noise");
      for (int i = 0; i < s->horizon_steps; ++i) {
        Action a = expert->Act(*world);
        if (i / 10 % 3 == 0) {
          for (int k = 0; k < 3; ++k) a.value[k] += static_cast<float>(0.12 * noise.Normal());
        }
        ASSERT_TRUE(world->Step(a).ok());
        task->Update(*world, *s);
        if (task->Evaluate(*world, *s).done) break;
      }
      solved += task->Evaluate(*world, *s).success;
    }
    EXPECT_GE(solved, n - 1) << name;
  }
}

TEST(EveryTask, RestoredEpisodeContinuesAndLooksTheSame) {
  for (const std::string& name : TaskNames()) {
    auto task = MakeForTest(name);
    auto world = *World::Load(task->scene());
    auto s = task->Place(*world, TestKey(*task, task->info().delays.front(), 2));
    ASSERT_TRUE(s.ok());
    auto renderer = Renderer::Create(world->model(), 64, 64);
    ASSERT_TRUE(renderer.ok()) << renderer.status().message();
    // To a moment at which a light is lit.
    const int until = s->cues.empty() ? 40 : static_cast<int>(s->cues[0].begin_s * 20) + 3;
    auto expert = task->MakeExpert(*s, false, Rng(s->Key(), "expert"));
    for (int i = 0; i < until; ++i) {
      ASSERT_TRUE(world->Step(expert->Act(*world)).ok());
      task->Update(*world, *s);
    }
    const auto saved = world->SaveState();
    Image before, after;
    ASSERT_TRUE((*renderer)->Render(*world, "front", 64, 64, &before).ok());
    Action a;
    for (int i = 0; i < 30; ++i) ASSERT_TRUE(world->Step(a).ok());
    task->Update(*world, *s);
    ASSERT_TRUE(world->RestoreState(saved).ok());
    task->Update(*world, *s);
    EXPECT_EQ(world->SaveState(), saved);  // Update() is idempotent at one moment
    ASSERT_TRUE((*renderer)->Render(*world, "front", 64, 64, &after).ok());
    EXPECT_EQ(before.rgb, after.rgb);
  }
}

TEST(RecallColor, ScheduleKeepsItsPromises) {
  auto task = MakeForTest("recall_color");
  std::map<std::string, std::pair<double, double>> delays = {
      {"short", {6, 9}}, {"medium", {14, 18}}, {"long", {35.5, 39}}};
  std::array<int, kNumColors> targets{};
  for (const auto& [delay, range] : delays) {
    for (uint64_t e = 0; e < 200; ++e) {
      auto s = task->Draw(TestKey(*task, delay, e));
      ASSERT_TRUE(s.ok());
      ASSERT_EQ(s->cues.size(), 1u);
      EXPECT_GE(s->cues[0].begin_s, 4.0);
      EXPECT_LE(s->cues[0].begin_s, 8.05);
      EXPECT_NEAR(s->cues[0].end_s - s->cues[0].begin_s, 0.5, 1e-9);
      const double wait = s->params[RecallColor::kGo] / kControlRateHz - s->cues[0].end_s;
      EXPECT_GE(wait, range.first - 0.03);
      EXPECT_LE(wait, range.second + 0.03);
      // 190 inferences and more before the press: 1,500 tokens of 8 a frame block.
      if (delay == "long") {
        EXPECT_GE(s->params[RecallColor::kGo] / 4, 190);
      }
      ++targets[s->target];
      std::set<double> colors(&s->params[RecallColor::kSlotColor],
                              &s->params[RecallColor::kSlotColor] + kRowOfFour);
      EXPECT_EQ(colors.size(), 4u);
      bool before = false, after = false;
      const size_t n = static_cast<size_t>(s->params[RecallColor::kFlashes]);
      for (size_t i = 0; i < n; ++i) {
        const double begin = s->params[RecallColor::kFlashes + 2 + 3 * i];
        const bool overlaps = begin < s->params[RecallColor::kCueEnd] &&
                              begin + kFlashSteps > s->params[RecallColor::kCueBegin];
        EXPECT_FALSE(overlaps);
        before |= begin < s->params[RecallColor::kCueBegin];
        after |= begin > s->params[RecallColor::kCueEnd];
      }
      EXPECT_TRUE(before && after);
    }
  }
  for (int n : targets) EXPECT_NEAR(n, 150, 45);
}

// Presses a button of a placed episode with an expert that is told another target.
Progress PressColor(const Task& task, int color_offset, bool early) {
  auto world = *World::Load(task.scene());
  Scenario s = *task.Place(*world, {Split::kValidation, 5, "recall_color", "short", 4});
  Scenario told = s;
  told.target = (s.target + color_offset) % kNumColors;
  if (early) told.params[RecallColor::kGo] = 60;
  auto expert = task.MakeExpert(told, false, Rng(1));
  Progress p;
  for (int i = 0; i < s.horizon_steps && !p.done; ++i) {
    EXPECT_TRUE(world->Step(expert->Act(*world)).ok());
    task.Update(*world, s);
    p = task.Evaluate(*world, s);
  }
  return p;
}

TEST(RecallColor, OutcomesOfThePress) {
  auto task = MakeForTest("recall_color");
  const Progress right = PressColor(*task, 0, false);
  EXPECT_TRUE(right.success && right.decisive_reached && right.decisive_right);
  EXPECT_EQ(right.Fraction(), 1);
  const Progress wrong = PressColor(*task, 1, false);
  EXPECT_TRUE(wrong.done && wrong.decisive_reached);
  EXPECT_FALSE(wrong.success || wrong.decisive_right);
  EXPECT_EQ(wrong.Fraction(), 0.75);
  const Progress early = PressColor(*task, 0, true);
  EXPECT_TRUE(early.done);
  EXPECT_FALSE(early.success || early.decisive_reached);
}

TEST(RecallColor, IdleArmFailsWithoutDeciding) {
  auto task = MakeForTest("recall_color");
  auto world = *World::Load(task->scene());
  Scenario s = *task->Place(*world, TestKey(*task, "short", 0));
  Action stay;
  stay.value[6] = -1;
  for (int i = 0; i < s.horizon_steps; ++i) {
    ASSERT_TRUE(world->Step(stay).ok());
    task->Update(*world, s);
  }
  const Progress p = task->Evaluate(*world, s);
  EXPECT_EQ(p.Fraction(), 0);
  EXPECT_FALSE(p.success || p.done || p.decisive_reached);
}

// The label names the class when the cue is lit and from go on, and at no other time.
TEST(RecallColor, LabelsFollowTheLamp) {
  auto task = MakeForTest("recall_color");
  auto world = *World::Load(task->scene());
  Scenario s = *task->Place(*world, TestKey(*task, "short", 1));
  auto expert = task->MakeExpert(s, false, Rng(s.Key(), "expert"));
  int cue_steps = 0, decisions = 0;
  for (int i = 0; i < s.horizon_steps; ++i) {
    const Action a = expert->Act(*world);
    const ExpertLabel label = expert->Label();
    const bool cue = i >= s.params[RecallColor::kCueBegin] && i < s.params[RecallColor::kCueEnd];
    const bool go = i >= s.params[RecallColor::kGo];
    EXPECT_EQ(label.target, cue || go ? s.target : -1) << i;
    EXPECT_EQ(label.decision, go);
    cue_steps += cue;
    decisions += label.decision;
    ASSERT_TRUE(world->Step(a).ok());
    task->Update(*world, s);
    if (task->Evaluate(*world, s).done) break;
  }
  EXPECT_EQ(cue_steps, 10);
  EXPECT_GT(decisions, 8);
}

// The cue lamp, the lights and the go signal are visible to the front camera at 64x64 and the four
// colours differ, wherever the arm is.
TEST(RecallColor, LampsAreVisible) {
  auto task = MakeForTest("recall_color");
  auto world = *World::Load(task->scene());
  auto renderer = *Renderer::Create(world->model(), 64, 64);
  Scenario s = *task->Place(*world, TestKey(*task, "short", 3));
  auto expert = task->MakeExpert(s, false, Rng(s.Key(), "expert"));
  Image image;
  auto lit_pixels = [&](int color) {
    int n = 0;
    for (size_t i = 0; i < image.rgb.size(); i += 3) {
      const int r = image.rgb[i], g = image.rgb[i + 1], b = image.rgb[i + 2];
      n += color == 0   ? r > 220 && g < 110 && b < 110
           : color == 1 ? g > 180 && r < 110 && b < 110
           : color == 2 ? b > 220 && r < 110 && g < 140
           : color == 3 ? r > 220 && g > 200 && b < 110
                        : r > 240 && g > 240 && b > 240;
    }
    return n;
  };
  for (int i = 0; i < 200; ++i) {
    ASSERT_TRUE(world->Step(expert->Act(*world)).ok());
    task->Update(*world, s);
    if (i % 20 != 0) continue;
    for (int c = 0; c < kNumColors; ++c) {
      SetCueLamp(*world, Lamp::kOff);
      ASSERT_TRUE(renderer->Render(*world, "front", 64, 64, &image).ok());
      const int off = lit_pixels(c);
      SetCueLamp(*world, Lamp::kColor, c);
      ASSERT_TRUE(renderer->Render(*world, "front", 64, 64, &image).ok());
      EXPECT_GE(lit_pixels(c) - off, 20) << kColorNames[c] << " at step " << i;
    }
    SetCueLamp(*world, Lamp::kWhite);
    ASSERT_TRUE(renderer->Render(*world, "front", 64, 64, &image).ok());
    EXPECT_GE(lit_pixels(4), 20);
  }
}

}  // namespace
}  // namespace kvla

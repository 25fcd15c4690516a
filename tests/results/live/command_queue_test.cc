// SPDX-License-Identifier: Apache-2.0
#include "results/live/command_queue.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace kvla {
namespace {

using Verdict = StepGate::Verdict;
constexpr double kPeriod = 0.05;

TEST(CommandQueue, FirstInFirstOut) {
  CommandQueue queue;
  ViewerCommand command;
  EXPECT_FALSE(queue.TryPop(&command));
  queue.Push({ViewerCommandKind::kPause});
  queue.Push({ViewerCommandKind::kSpeed, 2});
  ASSERT_TRUE(queue.TryPop(&command));
  EXPECT_EQ(command.kind, ViewerCommandKind::kPause);
  ASSERT_TRUE(queue.TryPop(&command));
  EXPECT_EQ(command, (ViewerCommand{ViewerCommandKind::kSpeed, 2}));
}

TEST(CommandQueue, IsBoundedAndKeepsTheWishToQuit) {
  CommandQueue queue;
  queue.Push({ViewerCommandKind::kQuit});
  for (size_t i = 0; i < 2 * CommandQueue::kCapacity; ++i) queue.Push({ViewerCommandKind::kStep});
  ViewerCommand command;
  ASSERT_TRUE(queue.TryPop(&command));
  EXPECT_EQ(command.kind, ViewerCommandKind::kQuit);
  size_t left = 0;
  while (queue.TryPop(&command)) ++left;
  EXPECT_LT(left, CommandQueue::kCapacity);
}

TEST(StepGate, PassesWhenNobodyAsksForAnything) {
  CommandQueue queue;
  StepGate gate(&queue, kPeriod, 0);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(gate.BeforeStep(i % 4 == 0), Verdict::kGo);
  EXPECT_FALSE(gate.touched());
  EXPECT_LT(gate.waited_s(), 0.1);
}

TEST(StepGate, EndsTheEpisodeOnRequest) {
  CommandQueue queue;
  StepGate gate(&queue, kPeriod, 0);
  queue.Push({ViewerCommandKind::kRestart});
  EXPECT_EQ(gate.BeforeStep(true), Verdict::kRestart);
  queue.Push({ViewerCommandKind::kPause});
  queue.Push({ViewerCommandKind::kQuit});
  EXPECT_EQ(gate.BeforeStep(true), Verdict::kQuit);
  queue.Push({ViewerCommandKind::kResume});
  queue.Push({ViewerCommandKind::kNext});
  EXPECT_EQ(gate.AfterEpisode(), Verdict::kNext);
}

// Runs a gate's episode on its own thread and counts the steps it let pass.
class Runner {
 public:
  explicit Runner(CommandQueue* queue)
      : gate_(queue, kPeriod, 0, /*paused=*/true), thread_([this] {
          for (int step = 0; gate_.BeforeStep(step % 4 == 0) == Verdict::kGo; ++step) {
            steps_ = step + 1;
          }
        }) {}
  ~Runner() { thread_.join(); }
  // True once exactly `steps` were done and no more follow for a while.
  bool HoldsAt(int steps) const {
    for (int i = 0; i < 500 && steps_ < steps; ++i) Nap();
    for (int i = 0; i < 10; ++i) Nap();
    return steps_ == steps;
  }

 private:
  static void Nap() { std::this_thread::sleep_for(std::chrono::milliseconds(10)); }

  StepGate gate_;
  std::atomic<int> steps_{0};
  std::thread thread_;
};

TEST(StepGate, StepsSinglyAndByInferenceWhilePaused) {
  CommandQueue queue;
  Runner runner(&queue);
  EXPECT_TRUE(runner.HoldsAt(0));
  queue.Push({ViewerCommandKind::kStep});
  EXPECT_TRUE(runner.HoldsAt(1));
  queue.Push({ViewerCommandKind::kStep});
  queue.Push({ViewerCommandKind::kStep});
  EXPECT_TRUE(runner.HoldsAt(3));
  // From the middle of an action chunk: its end, the next inference, and that one's four steps.
  queue.Push({ViewerCommandKind::kInference});
  EXPECT_TRUE(runner.HoldsAt(8));
  queue.Push({ViewerCommandKind::kInference});
  EXPECT_TRUE(runner.HoldsAt(12));
  queue.Push({ViewerCommandKind::kQuit});
}

TEST(StepGate, KeepsThePace) {
  CommandQueue queue;
  StepGate gate(&queue, kPeriod, 2.0);
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < 9; ++i) EXPECT_EQ(gate.BeforeStep(false), Verdict::kGo);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  EXPECT_GE(took.count(), 8 * kPeriod / 2 - 0.005);  // the first step comes at once
  EXPECT_GT(gate.waited_s(), 0.15);
  EXPECT_GT(gate.held_s(), 0.15);  // and it was asked for
  EXPECT_LE(gate.held_s(), gate.waited_s());
}

TEST(StepGate, AnEpisodeThatNobodyWatchesAnyMoreGoesOnToItsEnd) {
  CommandQueue queue;
  StepGate gate(&queue, kPeriod, 0);
  queue.Push({ViewerCommandKind::kFinish});
  for (int i = 0; i < 5; ++i) EXPECT_EQ(gate.BeforeStep(false), Verdict::kGo);
  EXPECT_FALSE(gate.touched());  // leaving changes nothing
  EXPECT_EQ(gate.AfterEpisode(), Verdict::kQuit);
  StepGate held(&queue, kPeriod, 0, /*paused=*/true);
  queue.Push({ViewerCommandKind::kFinish});
  EXPECT_EQ(held.BeforeStep(false), Verdict::kGo);
  EXPECT_FALSE(held.paused());
}

TEST(StepGate, TellsItsListenerAndForgetsTouchesWithTheEpisode) {
  CommandQueue queue;
  StepGate gate(&queue, kPeriod, 0);
  std::vector<ViewerCommandKind> heard;
  gate.set_listener([&](const ViewerCommand& command) { heard.push_back(command.kind); });
  queue.Push({ViewerCommandKind::kSpeed, 0});
  EXPECT_EQ(gate.BeforeStep(true), Verdict::kGo);
  EXPECT_FALSE(gate.touched());  // how fast it is shown changes nothing
  queue.Push({ViewerCommandKind::kSetting});
  queue.Push({ViewerCommandKind::kPull});
  EXPECT_EQ(gate.BeforeStep(false), Verdict::kGo);
  EXPECT_TRUE(gate.touched());
  queue.Push({ViewerCommandKind::kOpen});
  EXPECT_EQ(gate.BeforeStep(false), Verdict::kOpen);
  EXPECT_EQ(heard,
            (std::vector<ViewerCommandKind>{ViewerCommandKind::kSpeed, ViewerCommandKind::kSetting,
                                            ViewerCommandKind::kPull, ViewerCommandKind::kOpen}));
  gate.BeginEpisode();
  EXPECT_FALSE(gate.touched());
}

}  // namespace
}  // namespace kvla

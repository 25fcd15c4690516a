// SPDX-License-Identifier: Apache-2.0
#include "results/live/command_queue.h"

#include <algorithm>
#include <thread>

namespace kvla {
namespace {

// How long a paused runner sleeps at most before it looks again.
constexpr std::chrono::milliseconds kNap{200};

}  // namespace

void CommandQueue::Push(ViewerCommand command) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (queue_.size() >= kCapacity) {
      const bool keep = queue_.front().kind == ViewerCommandKind::kQuit;
      queue_.erase(queue_.begin() + (keep ? 1 : 0));
    }
    queue_.push_back(command);
  }
  ready_.notify_one();
}

bool CommandQueue::TryPop(ViewerCommand* command) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (queue_.empty()) return false;
  *command = queue_.front();
  queue_.pop_front();
  return true;
}

bool CommandQueue::WaitPop(ViewerCommand* command, std::chrono::milliseconds timeout) {
  std::unique_lock<std::mutex> lock(mutex_);
  if (!ready_.wait_for(lock, timeout, [this] { return !queue_.empty(); })) return false;
  *command = queue_.front();
  queue_.pop_front();
  return true;
}

StepGate::Verdict StepGate::Obey(const ViewerCommand& command) {
  if (listener_) listener_(command);
  switch (command.kind) {
    case ViewerCommandKind::kPause:
      paused_ = true;
      steps_left_ = 0;
      inference_wanted_ = false;
      break;
    case ViewerCommandKind::kResume:
      paused_ = false;
      due_ = {};
      break;
    case ViewerCommandKind::kStep:
      paused_ = true;
      ++steps_left_;
      break;
    case ViewerCommandKind::kInference:
      paused_ = true;
      inference_wanted_ = true;
      inference_seen_ = false;
      break;
    case ViewerCommandKind::kSpeed:
      speed_ = std::max(0.0, command.value);
      due_ = {};
      return Verdict::kGo;
    case ViewerCommandKind::kRestart:
      return Verdict::kRestart;
    case ViewerCommandKind::kNext:
      return Verdict::kNext;
    case ViewerCommandKind::kOpen:
      return Verdict::kOpen;
    case ViewerCommandKind::kQuit:
      return Verdict::kQuit;
    case ViewerCommandKind::kFinish:
      finish_ = true;
      paused_ = false;
      speed_ = 0;
      return Verdict::kGo;
    case ViewerCommandKind::kPull:
    case ViewerCommandKind::kTurn:
    case ViewerCommandKind::kRelease:
    case ViewerCommandKind::kSetting:
      break;  // the listener's business
  }
  touched_ = true;
  return Verdict::kGo;
}

StepGate::Verdict StepGate::BeforeStep(bool inference_due) {
  const Clock::time_point start = Clock::now();
  Verdict verdict = Verdict::kGo;
  ViewerCommand command;
  while (verdict == Verdict::kGo && queue_->TryPop(&command)) verdict = Obey(command);
  const Clock::time_point obeyed = Clock::now();
  while (verdict == Verdict::kGo && paused_) {
    if (steps_left_ > 0) {
      --steps_left_;
      break;
    }
    if (inference_wanted_) {
      if (!inference_due || !inference_seen_) {
        inference_seen_ = inference_seen_ || inference_due;
        break;
      }
      inference_wanted_ = false;
    }
    if (queue_->WaitPop(&command, kNap)) verdict = Obey(command);
  }
  if (verdict == Verdict::kGo && !paused_) Pace();
  const Clock::time_point end = Clock::now();
  waited_s_ += std::chrono::duration<double>(end - start).count();
  held_s_ += std::chrono::duration<double>(end - obeyed).count();
  return verdict;
}

StepGate::Verdict StepGate::AfterEpisode() {
  Verdict verdict = Verdict::kGo;
  ViewerCommand command;
  while (verdict == Verdict::kGo) {
    if (finish_) return Verdict::kQuit;
    if (queue_->WaitPop(&command, kNap)) verdict = Obey(command);
  }
  steps_left_ = 0;
  inference_wanted_ = false;
  due_ = {};
  return verdict;
}

void StepGate::Pace() {
  if (speed_ <= 0) return;
  const auto period = std::chrono::duration_cast<Clock::duration>(
      std::chrono::duration<double>(control_period_s_ / speed_));
  const Clock::time_point now = Clock::now();
  // A runner that fell behind by a second or more does not chase the lost time.
  if (due_ == Clock::time_point{} || now - due_ > std::chrono::seconds(1)) due_ = now;
  std::this_thread::sleep_until(due_);
  due_ += period;
}

}  // namespace kvla

// SPDX-License-Identifier: Apache-2.0
#include "policy/compact/training/validation.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <vector>

#include "policy/compact/training/losses.h"
#include "policy/compact/training/training_forward.h"

namespace kvla {
namespace {

constexpr int kDraws = 8;
constexpr int kWholeHistories = 60;

std::string WholeNote(VlaNet& net, const TrainingSet& set, const SubHistoryOptions& options) {
  Rng rng(StableHash("whole validation"));
  TargetCount all;
  std::map<std::string, TargetCount> by_task;
  for (const Batch& batch : set.Draw(kWholeHistories, net->config(), options, rng)) {
    const HeadOutputs outputs = TrainingForward(net, batch, Told::kNothing);
    const std::vector<TargetCount> counts = CountTargets(outputs, batch, Counted::kDecision);
    for (int sample = 0; sample < batch.samples; ++sample) {
      all.Add(counts[sample]);
      by_task[batch.tasks[sample]].Add(counts[sample]);
    }
  }
  std::string note = fmt::format("; whole histories {:.3f}", all.Rate());
  if (by_task.size() < 2) return note;
  for (const auto& [task, count] : by_task) {
    if (count.known > 0) note += fmt::format(", {} {:.2f}", task, count.Rate());
  }
  return note;
}

}  // namespace

std::string ValidationNote(VlaNet& net, const TrainingSet& set, const ValidationOptions& options) {
  Rng rng(StableHash("validation"));
  double action = 0, goal = 0, places = 0;
  TargetCount cue, use;
  struct TaskFigures {
    TargetCount decision;
    double goal = 0, goal_valid = 0;
  };
  std::map<std::string, TaskFigures> by_task;
  for (int i = 0; i < kDraws; ++i) {
    for (const Batch& batch : set.Draw(options.samples, net->config(), options.histories, rng)) {
      const HeadOutputs outputs = TrainingForward(net, batch, Told::kNothing);
      const BlockLosses losses = ComputeLosses(outputs, batch);
      const double share = batch.samples / (kDraws * static_cast<double>(options.samples));
      action += Mean(ActionLoss(losses), losses.action_valid).item<double>() * share;
      goal += Mean(losses.goal, losses.goal_valid).item<double>() * share;
      places += Mean(losses.places, losses.places_valid).item<double>() * share;
      for (const TargetCount& count : CountTargets(outputs, batch, Counted::kCue)) cue.Add(count);
      for (const TargetCount& count : CountTargets(outputs, batch, Counted::kUse)) use.Add(count);
      const std::vector<TargetCount> counts = CountTargets(outputs, batch, Counted::kDecision);
      for (int sample = 0; sample < batch.samples; ++sample) {
        TaskFigures& figures = by_task[batch.tasks[sample]];
        figures.decision.Add(counts[sample]);
        const torch::Tensor open = batch.uses_target[sample];
        figures.goal += (losses.goal[sample] * open).sum().item<double>();
        figures.goal_valid += (losses.goal_valid[sample] * open).sum().item<double>();
      }
    }
  }
  std::string note = fmt::format(
      "validation: action loss {:.4f}, places {:.4f}, goal {:.4f}, target right at the cue "
      "{:.3f}, in use {:.3f}",
      action, places, goal, cue.Rate(), use.Rate());
  if (by_task.size() > 1) {
    for (const auto& [task, figures] : by_task) {
      if (figures.decision.known == 0) continue;
      note += fmt::format("; {} {:.2f}, goal {:.3f}", task, figures.decision.Rate(),
                          figures.goal / std::max(1.0, figures.goal_valid));
    }
  }
  return options.wholes ? note + WholeNote(net, set, *options.wholes) : note;
}

}  // namespace kvla

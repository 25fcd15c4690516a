// SPDX-License-Identifier: Apache-2.0
#include "harness/episode/episode_states.h"

#include <fmt/format.h>

#include <utility>

#include "base/hash.h"
#include "harness/episode/suite_options.h"

namespace kvla {

Result<std::unique_ptr<EpisodeStates>> EpisodeStates::Make(const EpisodeRecord& record,
                                                           const Task& task, World* world) {
  const EpisodeBegin& begin = record.begin;
  const Result<EpisodeKey> key = KeyOf(begin);
  if (!key.ok()) return key.status();
  const Result<DisturbanceLevel> level = ParseDisturbance(begin.disturbance);
  if (!level.ok()) return level.status();
  std::unique_ptr<EpisodeStates> out(new EpisodeStates(task, world));
  out->id_ = begin.id;
  Result<Scenario> scenario = task.Place(*world, *key);
  if (!scenario.ok()) return scenario.status();
  out->scenario_ = *std::move(scenario);
  task.Update(*world, out->scenario_);
  out->disturbance_ = std::make_unique<Disturbance>(*level, out->scenario_, world);
  out->states_.push_back(world->SaveState());

  if (record.steps.empty() && record.end.steps > 0) {
    return BadInput(fmt::format("{}: its trace holds no actions (trace: off)", ToString(begin.id)));
  }
  bool stored = true;
  for (const StepEvent& step : record.steps) stored = stored && !step.state.empty();
  if (stored) {
    for (const StepEvent& step : record.steps) out->states_.push_back(step.state);
    return out;
  }
  if (Status status = out->Simulate(record); !status.ok()) return status;
  return out;
}

// What a person did to the bodies; whatever else a command changes is in the actions already.
Status EpisodeStates::Obey(const CommandEvent& command) {
  if (command.name == "release") world_->Release();
  if (command.name != "pull" && command.name != "turn") return {};
  const std::vector<double>& n = command.numbers;
  const bool turn = command.name == "turn";
  if (n.size() != (turn ? 5 : 7)) {
    return BadInput(fmt::format("{}: a {} without its numbers", ToString(id_), command.name));
  }
  World::Hand hand;
  hand.body = static_cast<int>(n[0]);
  if (turn) {
    hand.turn = {n[1], n[2], n[3], n[4]};
  } else {
    hand.point = {n[1], n[2], n[3]};
    hand.target = {n[4], n[5], n[6]};
  }
  return world_->Pull(hand);
}

Status EpisodeStates::Simulate(const EpisodeRecord& record) {
  auto command = record.commands.begin();
  for (const StepEvent& step : record.steps) {
    for (; command != record.commands.end() && command->control_step <= step.control_step;
         ++command) {
      if (Status status = Obey(*command); !status.ok()) return status;
    }
    disturbance_->Push();
    if (Status status = world_->Step(Action{step.action}); !status.ok()) {
      if (record.end.outcome == "error") break;  // that is how it ended
      return status;
    }
    task_.Update(*world_, scenario_);
    states_.push_back(world_->SaveState());
  }
  simulated_ = true;
  const std::string hash = Hex64(world_->StateHash());
  if (record.end.outcome == "error" || hash == record.end.state_hash) return {};
  return InternalError(fmt::format(
      "{}: simulated again it ends in state {}, on record is {}: another machine, build or "
      "version of MuJoCo made it",
      ToString(record.begin.id), hash, record.end.state_hash));
}

Status EpisodeStates::Show(int i) {
  if (Status status = world_->RestoreState(state(i)); !status.ok()) return status;
  task_.Update(*world_, scenario_);
  return {};
}

}  // namespace kvla

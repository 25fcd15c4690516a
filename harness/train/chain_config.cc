// SPDX-License-Identifier: Apache-2.0
#include "harness/train/chain_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <set>

#include "base/config_differences.h"
#include "base/config_io.h"

namespace kvla {
namespace {

// Of a chain; a stage's own seed is drawn from it and the stage's place.
constexpr int kMostSeeds = 1000;

bool IsFileName(const std::string& name) {
  return !name.empty() && std::ranges::all_of(name, [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '_' || c == '-';
  });
}

Status CheckWheel(const ChainStage& stage, bool has_driver) {
  if (!has_driver) {
    return BadInput("no policy is at the wheel: no stage before it trains, init_from is empty");
  }
  const std::vector<ConfigMember> set =
      ChangedMembers(PrintConfig(TrainStage()), PrintConfig(static_cast<const TrainStage&>(stage)));
  if (!set.empty()) {
    return BadInput(
        fmt::format("it has wheel.sets, so it trains nothing: take '{}' out", set.front().key));
  }
  for (const DemoSet& demos : stage.wheel.sets) {
    if (demos.split == "train") continue;
    return BadInput(fmt::format("wheel.sets of {}: the split must be train, it is {}", demos.task,
                                demos.split));
  }
  return {};
}

// What a stage may not let cue labels decide.
Status CheckCueLabels(const ChainStage& stage, bool is_first) {
  const auto refuse = [](const std::string& what) {
    return BadInput(what + " reads cue labels, which no loss and nothing that is dropped may do");
  };
  if (stage.history == "by_cues") return refuse("history: by_cues");
  if (stage.order_weight > 0) return refuse("order_weight above 0");
  if (stage.unsure_weight > 0) return refuse("unsure_weight above 0");
  if (stage.shows == "cues" && !is_first) {
    return BadInput("shows: cues reads cue labels, which may choose what the first stage shows");
  }
  return {};
}

}  // namespace

Status CheckChain(const ChainConfig& config) {
  if (config.stages.empty()) return BadInput("'stages' is empty: nothing to train");
  if (config.out.empty()) return BadInput("'out' is empty: where to?");
  if (config.seed >= kMostSeeds) {
    return BadInput(
        fmt::format("seed is {}, of a chain it must be below {}", config.seed, kMostSeeds));
  }
  if (config.policy.cue_orders > 0) {
    return BadInput("policy.cue_orders: that head is taught by cue labels; leave it at 0");
  }
  std::set<std::string> names;
  bool has_policy = !config.init_from.empty();
  for (size_t i = 0; i < config.stages.size(); ++i) {
    const ChainStage& stage = config.stages[i];
    const std::string where =
        stage.name.empty() ? fmt::format("stages[{}]", i) : "stages." + stage.name;
    if (!IsFileName(stage.name)) {
      return BadInput("its name must be of letters, digits, _ and -").In(where);
    }
    if (!names.insert(stage.name).second) return BadInput("another has this name").In(where);
    const Status status =
        stage.Trains() ? CheckCueLabels(stage, !has_policy) : CheckWheel(stage, has_policy);
    if (!status.ok()) return status.In(where);
    has_policy = true;
  }
  if (config.stages.back().Trains()) return {};
  return BadInput("it is the last one: nothing is trained on what it records")
      .In("stages." + config.stages.back().name);
}

std::string StageFolder(const ChainConfig& config, size_t index) {
  return (std::filesystem::path(config.out) / "stages" / config.stages[index].name).string();
}

std::string StartOfStage(const ChainConfig& config, size_t index) {
  for (size_t i = index; i-- > 0;) {
    if (config.stages[i].Trains()) return StageFolder(config, i);
  }
  return config.init_from;
}

TrainConfig TrainingOfStage(const ChainConfig& config, size_t index) {
  TrainConfig training;
  static_cast<TrainSetup&>(training) = config;
  static_cast<TrainStage&>(training) = config.stages[index];
  training.out = StageFolder(config, index);
  training.init_from = StartOfStage(config, index);
  if (training.init_from != config.init_from) {
    training.warm_from.clear();
    training.warm_parts.clear();
  }
  training.seed = config.seed * kMostSeeds + static_cast<int>(index);
  return training;
}

}  // namespace kvla

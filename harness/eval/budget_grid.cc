// SPDX-License-Identifier: Apache-2.0
#include "harness/eval/budget_grid.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/config_io.h"
#include "base/text.h"
#include "kv_efficient/methods/method_table.h"

namespace kvla {
namespace {

constexpr char kReference[] = "full";

// A setting of which more is more kept, and 0 all.
struct BudgetSetting {
  const char* name;
  int CacheConfig::*value;
};
constexpr BudgetSetting kSettings[] = {{"budget_tokens", &CacheConfig::budget_tokens},
                                       {"budget_bytes", &CacheConfig::budget_bytes},
                                       {"budget_chunks", &CacheConfig::budget_chunks}};

bool HasBudget(const RunArm& arm) {
  const CacheMethod* method = FindCacheMethod(arm.cache.policy);
  return method != nullptr && std::ranges::any_of(kSettings, [&](const BudgetSetting& setting) {
           return method->reads(setting.name);
         });
}

bool SetsBudget(const RunArm& arm) {
  return std::ranges::any_of(
      kSettings, [&](const BudgetSetting& setting) { return arm.cache.*setting.value > 0; });
}

// The cache, but for the budget.
std::string Rest(const RunArm& arm, const BudgetSetting& setting) {
  CacheConfig cache = arm.cache;
  cache.*setting.value = CacheConfig().*setting.value;
  return PrintConfig(cache);
}

// The setting that is all that the arms differ in; null: there is none.
const BudgetSetting* SettingOf(const std::vector<const RunArm*>& arms) {
  for (const BudgetSetting& setting : kSettings) {
    const bool set =
        std::ranges::any_of(arms, [&](const RunArm* arm) { return arm->cache.*setting.value > 0; });
    const bool fits = set && std::ranges::all_of(arms, [&](const RunArm* arm) {
                        return FindCacheMethod(arm->cache.policy)->reads(setting.name) &&
                               Rest(*arm, setting) == Rest(*arms[0], setting);
                      });
    if (fits) return &setting;
  }
  return nullptr;
}

std::string NamesOf(const std::vector<const RunArm*>& arms) {
  std::vector<std::string> names;
  for (const RunArm* arm : arms) names.push_back(arm->name);
  return Join(names, ", ");
}

Result<std::vector<const RunArm*>> Pick(const RunConfig& config,
                                        const std::vector<std::string>& names) {
  std::vector<const RunArm*> picked;
  std::vector<std::string> known;
  for (const RunArm& arm : config.arms) {
    if (!HasBudget(arm)) continue;
    known.push_back(arm.name);
    if (names.empty() || std::ranges::find(names, arm.name) != names.end()) picked.push_back(&arm);
  }
  for (const std::string& name : names) {
    if (std::ranges::find(known, name) != known.end()) continue;
    return BadInput(fmt::format("--arms {}: no arm of that name has a budget, only {}{}", name,
                                known.empty() ? "none" : Join(known, ", "),
                                DidYouMean(name, known)));
  }
  if (std::ranges::none_of(picked, [](const RunArm* arm) { return SetsBudget(*arm); })) {
    return BadInput(
        "no arm has a budget: make some with a grid, as in grid: {cache.budget_tokens: [32, 64]}");
  }
  return picked;
}

}  // namespace

Result<BudgetGrid> BudgetGridOf(const RunConfig& config, const std::vector<std::string>& names) {
  if (config.stop_when.rule != "never") {
    return BadInput(
        "stop_when: a certificate is for a number of episodes that is fixed beforehand; set "
        "stop_when.rule=never");
  }
  const auto full = std::ranges::find(config.arms, kReference, &RunArm::name);
  const CacheMethod* method =
      full == config.arms.end() ? nullptr : FindCacheMethod(full->cache.policy);
  if (method == nullptr || !method->keeps_all) {
    return BadInput("an arm 'full' is wanted that keeps everything (cache: {policy: full})");
  }
  const Result<std::vector<const RunArm*>> arms = Pick(config, names);
  if (!arms.ok()) return arms.status();
  for (const RunArm* arm : *arms) {
    if (PrintConfig(arm->clock) == PrintConfig(full->clock)) continue;
    return BadInput(fmt::format("arm '{}' has another clock than 'full'", arm->name));
  }
  const BudgetSetting* setting = SettingOf(*arms);
  if (setting == nullptr) {
    return BadInput(
        fmt::format("the arms {} differ in more than a budget: take those of one grid with --arms",
                    NamesOf(*arms)));
  }
  BudgetGrid grid{.setting = setting->name, .reference = kReference, .arms = {}, .episodes = 0};
  grid.episodes = config.episodes;
  for (const RunArm* arm : *arms) {
    const int budget = arm->cache.*setting->value;
    grid.arms.push_back({arm->name, budget == 0 ? kNoBudgetLimit : budget});
  }
  std::ranges::sort(grid.arms, std::greater(), &BudgetArm::budget);
  const auto twin = std::ranges::adjacent_find(grid.arms, {}, &BudgetArm::budget);
  if (twin != grid.arms.end()) {
    return BadInput(fmt::format("arms '{}' and '{}' have the same {}", twin->name,
                                std::next(twin)->name, setting->name));
  }
  return grid;
}

}  // namespace kvla

// SPDX-License-Identifier: Apache-2.0
// `kvla config`: every key of every kind of config, with default, limits and help.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "apps/commands.h"
#include "base/config_help.h"
#include "base/json_text.h"
#include "base/streams.h"
#include "base/text.h"
#include "harness/demos/demo_config.h"
#include "harness/episode/latency.h"
#include "harness/eval/run_config.h"
#include "harness/language/needle.h"
#include "harness/language/perplexity.h"
#include "harness/train/chain_config.h"
#include "harness/transplant/transplant_config.h"
#include "kv_efficient/methods/cache_config.h"
#include "policy/compact/gate/gate_training.h"
#include "policy/compact/gate/write_gate_training.h"
#include "policy/compact/policy_config.h"
#include "policy/compact/training/train.h"

namespace kvla {
namespace {

struct ConfigKind {
  std::string name, help;
  std::function<std::vector<FieldInfo>()> fields;
  std::function<std::string()> document;
};

template <class T>
ConfigKind Kind(const char* name, const char* help) {
  return {name, help, &DescribeFields<T>, &DocumentConfig<T>};
}

// One explicit list.
std::vector<ConfigKind> Kinds() {
  return {Kind<RunConfig>("eval", "a run: kvla eval, kvla view"),
          Kind<CacheConfig>("cache", "the cache of an arm of a run"),
          Kind<ClockConfig>("clock", "the clock of an arm of a run"),
          Kind<DemosConfig>("demos", "demonstrations: kvla demos"),
          Kind<TrainConfig>("train", "training of a policy in one stage: kvla train"),
          Kind<ChainConfig>("chain", "training of a policy in stages: kvla train"),
          Kind<PolicyConfig>("policy", "a policy: of kvla train, and config.yaml of a checkpoint"),
          Kind<GateTrainConfig>("train-gate", "training of a gate: kvla train-gate"),
          Kind<WriteGateTrainConfig>("train-write-gate",
                                     "training of a write gate: kvla train-write-gate"),
          Kind<PerplexityConfig>("perplexity", "a language model on a text: kvla perplexity"),
          Kind<NeedleConfig>("needle", "a fact in a long text: kvla needle"),
          Kind<TransplantConfig>("transplant", "chunks of another cue: kvla transplant")};
}

struct ConfigFlags {
  std::string kind;
  std::vector<std::string> keys;
  bool json = false;
};

nlohmann::json FieldsJson(const std::vector<FieldInfo>& fields) {
  nlohmann::json rows = nlohmann::json::array();
  for (const FieldInfo& f : fields) {
    nlohmann::json row = {
        {"key", f.path}, {"type", f.type}, {"default", f.default_value}, {"help", f.help}};
    if (!f.names.empty()) row["one_of"] = f.names;
    if (f.range) row["range"] = {f.range->low, f.range->high};  // infinity becomes null
    rows.push_back(std::move(row));
  }
  return rows;
}

int RunConfigHelp(const ConfigFlags& flags) {
  const std::vector<ConfigKind> kinds = Kinds();
  const std::vector<std::string> names = ConfigKindNames();
  const auto found = std::ranges::find(kinds, flags.kind, &ConfigKind::name);
  const ConfigKind* kind = found == kinds.end() ? nullptr : &*found;
  if (flags.kind.empty()) {
    if (flags.json) {
      Print("{}\n", JsonText(nlohmann::json{{"kinds", names}}, 2));
      return kExitDone;
    }
    for (const ConfigKind& k : kinds) Print("{:<16} {}\n", k.name, k.help);
    return kExitDone;
  }
  if (kind == nullptr) {
    return ReportStatus(
        BadInput(fmt::format("no kind of config is called '{}', only {}{}", flags.kind,
                             Join(names, ", "), DidYouMean(flags.kind, names))));
  }
  const std::vector<FieldInfo> all = kind->fields();
  std::vector<FieldInfo> picked = flags.keys.empty() ? all : std::vector<FieldInfo>();
  for (const std::string& key : flags.keys) {
    const Result<std::vector<FieldInfo>> fields = FindFields(all, key);
    if (!fields.ok()) return ReportStatus(fields.status().In("kvla config " + kind->name));
    picked.insert(picked.end(), fields->begin(), fields->end());
  }
  if (flags.json) {
    Print("{}\n", JsonText(nlohmann::json{{"rows", FieldsJson(picked)}}, 2));
  } else {
    Print("{}", flags.keys.empty() ? kind->document() : FormatFields(picked));
  }
  return kExitDone;
}

}  // namespace

std::vector<std::string> ConfigKindNames() {
  std::vector<std::string> names;
  for (const ConfigKind& kind : Kinds()) names.push_back(kind.name);
  return names;
}

CLI::App* AddConfig(CLI::App& parent, const AppContext&, int* exit_code) {
  auto flags = std::make_shared<ConfigFlags>();
  CLI::App* command =
      parent.add_subcommand("config", "Every key of every config: default, limits, help");
  command->add_option("kind", flags->kind, "Kind of config; without it, which there are");
  command->add_option("keys", flags->keys, "Only these, as in episodes cache.threshold stop_when");
  command->add_flag("--json", flags->json, "For programs");
  command->callback([flags, exit_code] { *exit_code = RunConfigHelp(*flags); });
  return command;
}

}  // namespace kvla

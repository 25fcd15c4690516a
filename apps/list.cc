// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "apps/commands.h"
#include "apps/suite_flags.h"
#include "base/config_io.h"
#include "base/json_text.h"
#include "base/streams.h"
#include "base/text.h"
#include "harness/episode/suite_options.h"
#include "kv_efficient/methods/method_table.h"
#include "policy/compact/policy_config.h"
#include "tasks/task_list.h"

namespace kvla {
namespace {

using nlohmann::json;

Result<json> TasksJson(const AppContext& context, const TaskOptions& suite) {
  json rows = json::array();
  for (const std::string& name : TaskNames()) {
    const Result<std::unique_ptr<Task>> task = MakeTask(name, context.asset_root, suite);
    if (!task.ok()) return task.status();
    const TaskInfo& info = (*task)->info();
    json stages = json::array();
    for (const StageInfo& stage : info.stages) {
      stages.push_back({{"name", stage.name},
                        {"kind", stage.kind == StageKind::kDecisive ? "decisive" : "motor"}});
    }
    rows.push_back({{"name", info.name},
                    {"family", info.family},
                    {"suite", SuiteMembers(suite)},
                    {"delays", info.delays},
                    {"stages", stages},
                    {"instruction", info.instruction},
                    {"success_rule", info.success_rule},
                    {"chance", info.chance},
                    {"needs_memory", info.needs_memory}});
  }
  return rows;
}

json CachesJson() {
  json rows = json::array();
  for (const CacheMethod& info : CacheMethods()) {
    rows.push_back({{"name", info.name},
                    {"help", info.help},
                    {"settings", info.settings},
                    {"cue_hint", info.cue_hint},
                    {"scores", info.scores},
                    {"has_threshold", info.has_threshold()},
                    {"has_budget", info.has_budget()}});
  }
  return rows;
}

// Checkpoint folders below the places where the repository keeps them.
json PoliciesJson(const AppContext& context) {
  json rows = json::array();
  std::error_code error;
  for (const char* place : {"policy/weights", "runs"}) {
    std::filesystem::recursive_directory_iterator it(context.asset_root / place, error), end;
    for (; !error && it != end; it.increment(error)) {
      if (it->path().filename() != "model.safetensors") continue;
      PolicyConfig config;
      const std::filesystem::path folder = it->path().parent_path();
      if (!LoadConfigFile(folder / "config.yaml", {}, &config).ok()) continue;
      rows.push_back({{"name", folder.lexically_relative(context.asset_root).string()},
                      {"image_size", config.image_size},
                      {"cameras", config.cameras},
                      {"tokens_per_block", config.tokens_per_block()},
                      {"layers", config.num_layers},
                      {"hidden_size", config.hidden_size},
                      {"bytes", std::filesystem::file_size(it->path(), error)}});
    }
    error.clear();
  }
  return rows;
}

std::string Words(const json& list) {
  return PrintableLine(Join(list.get<std::vector<std::string>>(), ", "));
}

int RunList(const AppContext& context, const std::string& what, const TaskOptions& suite,
            bool as_json) {
  Result<json> rows = what == "tasks"    ? TasksJson(context, suite)
                      : what == "caches" ? Result<json>(CachesJson())
                                         : Result<json>(PoliciesJson(context));
  if (!rows.ok()) return ReportStatus(rows.status());
  if (as_json) {
    Print("{}\n", JsonText(json{{"rows", *rows}}, 2));
    return kExitDone;
  }
  if (rows->empty()) Print("none found\n");
  for (const json& row : *rows) {
    const std::string name = PrintableLine(row.at("name").get<std::string>());
    if (what == "tasks") {
      Print("{:<14} {} (delays: {}; {})\n", name, row.at("instruction").get<std::string>(),
            Words(row.at("delays")), row.at("success_rule").get<std::string>());
    } else if (what == "caches") {
      const std::string settings = Words(row.at("settings"));
      Print("{:<14} {}{}\n", name, row.at("help").get<std::string>(),
            settings.empty() ? "" : " (settings: " + settings + ")");
    } else {
      Print("{:<28} {} layers, width {}, {} tokens a block, cameras {} at {} pixels\n", name,
            row.at("layers").get<int>(), row.at("hidden_size").get<int>(),
            row.at("tokens_per_block").get<int>(), Words(row.at("cameras")),
            row.at("image_size").get<int>());
    }
  }
  return kExitDone;
}

}  // namespace

CLI::App* AddList(CLI::App& parent, const AppContext& context, int* exit_code) {
  auto what = std::make_shared<std::string>();
  auto suite = std::make_shared<TaskOptions>();
  auto as_json = std::make_shared<bool>(false);
  CLI::App* command = parent.add_subcommand("list", "What there is: tasks, caches, policies");
  command->add_option("what", *what, "tasks, caches or policies")
      ->required()
      ->check(CLI::IsMember({"tasks", "caches", "policies"}));
  AddSuiteFlags(*command, suite.get());
  command->add_flag("--json", *as_json, "For programs");
  command->callback([what, suite, as_json, &context, exit_code] {
    *exit_code = RunList(context, *what, *suite, *as_json);
  });
  return command;
}

}  // namespace kvla

// SPDX-License-Identifier: Apache-2.0
#include "harness/episode/suite_options.h"

#include <vector>

#include "base/config_differences.h"
#include "base/config_io.h"
#include "base/split_names.h"
#include "base/text.h"
#include "tasks/task_list.h"

namespace kvla {

std::map<std::string, std::string> SuiteMembers(const TaskOptions& options) {
  std::map<std::string, std::string> members;
  const Result<ConfigNode> node = ParseYaml(PrintConfig(options), "(suite)", false);
  if (!node.ok()) return members;  // cannot be: it was printed just now
  for (const ConfigMember& member : node->members) members[member.key] = member.value.text;
  return members;
}

std::string SuiteText(const TaskOptions& options) {
  std::vector<std::string> parts;
  for (const auto& [key, value] : SuiteMembers(options)) parts.push_back(key + " " + value);
  return Join(parts, ", ");
}

Result<TaskOptions> SuiteOf(const EpisodeBegin& begin) {
  std::vector<std::string> settings;
  for (const auto& [key, value] : begin.suite) settings.push_back(key + "=" + value);
  TaskOptions options;
  if (Status s = OverrideConfig(settings, &options); !s.ok()) {
    return s.In("suite of " + ToString(begin.id));
  }
  return options;
}

Result<EpisodeKey> KeyOf(const EpisodeBegin& begin) {
  const Result<Split> split = ParseSplit(begin.split);
  if (!split.ok()) return split.status();
  const EpisodeId& id = begin.id;
  return EpisodeKey{*split,    begin.run_seed, id.task, id.delay, static_cast<uint64_t>(id.seed),
                    begin.twin};
}

Result<std::unique_ptr<Task>> MakeTaskOf(const EpisodeBegin& begin,
                                         const std::filesystem::path& asset_root) {
  const Result<TaskOptions> options = SuiteOf(begin);
  if (!options.ok()) return options.status();
  return MakeTask(begin.id.task, asset_root, *options);
}

bool IsTaskOf(const Task* task, const EpisodeBegin& begin) {
  if (task == nullptr || task->info().name != begin.id.task) return false;
  const Result<TaskOptions> options = SuiteOf(begin);
  return options.ok() && *options == task->options();
}

}  // namespace kvla

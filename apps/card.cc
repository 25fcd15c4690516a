// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "apps/commands.h"
#include "apps/suite_flags.h"
#include "base/files.h"
#include "base/streams.h"
#include "base/writer_lock.h"
#include "harness/certify/task_card.h"
#include "tasks/task_list.h"

namespace kvla {
namespace {

struct CardFlags {
  std::string task;
  std::filesystem::path out;
  std::string certify;
  TaskOptions suite;
};

int RunCard(const AppContext& context, const CardFlags& flags) {
  std::string certificates;
  if (!flags.certify.empty()) {
    Result<std::string> text = ReadFile(flags.certify);
    if (!text.ok()) return ReportStatus(text.status());
    certificates = *std::move(text);
  }
  if (Status s = CheckFolderWritable(flags.out); !s.ok()) return ReportStatus(s);
  const Result<WriterLock> lock = WriterLock::OfFolder(flags.out);
  if (!lock.ok()) return ReportStatus(lock.status());
  const std::vector<std::string> names =
      flags.task.empty() ? TaskNames() : std::vector<std::string>{flags.task};
  for (const std::string& name : names) {
    const Result<std::unique_ptr<Task>> task = MakeTask(name, context.asset_root, flags.suite);
    if (!task.ok()) return ReportStatus(task.status());
    if (Status s = WriteTaskCard(**task, certificates, flags.out); !s.ok()) {
      return ReportStatus(s.In(name));
    }
    Print("{}\n", (flags.out / (name + ".md")).string());
  }
  return kExitDone;
}

}  // namespace

CLI::App* AddCard(CLI::App& parent, const AppContext& context, int* exit_code) {
  auto flags = std::make_shared<CardFlags>();
  CLI::App* command =
      parent.add_subcommand("card", "Write a task's card: one page and one picture strip");
  command->add_option("task", flags->task, "Task; all without it");
  command->add_option("--out", flags->out, "Folder for <task>.md and <task>.png")->required();
  command->add_option("--certify", flags->certify, "What kvla certify --json printed");
  AddSuiteFlags(*command, &flags->suite);
  command->callback([flags, &context, exit_code] { *exit_code = RunCard(context, *flags); });
  return command;
}

}  // namespace kvla

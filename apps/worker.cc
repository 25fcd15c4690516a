// SPDX-License-Identifier: Apache-2.0
#include "harness/workers/worker.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <string>

#include "apps/commands.h"
#include "harness/demos/demo_worker.h"
#include "harness/demos/demos.h"
#include "harness/eval/eval_run.h"
#include "harness/eval/eval_worker.h"

namespace kvla {
namespace {

// One explicit list of what a worker can be.
Result<WorkerTask> PrepareAnyWorker(const Message& setup) {
  const std::string kind = setup.value("kind", "");
  if (kind == "demos") return PrepareDemoWorker(setup);
  if (kind == "eval") return PrepareEvalWorker(setup);
  return InternalError(fmt::format("no worker of kind '{}'", kind));
}

int RunWorker() {
  if (fcntl(kWorkerFd, F_GETFD) < 0) {
    return ReportStatus(BadInput("'worker' is started by the other subcommands, not by hand"));
  }
  DieWithParent();
  std::signal(SIGPIPE, SIG_IGN);
  return ServeWorker(kWorkerFd, PrepareAnyWorker);
}

}  // namespace

CLI::App* AddWorker(CLI::App& parent, const AppContext&, int* exit_code) {
  CLI::App* command = parent.add_subcommand("worker", "Internal: serves another kvla process");
  command->group("");  // hidden
  command->callback([exit_code] { *exit_code = RunWorker(); });
  return command;
}

}  // namespace kvla

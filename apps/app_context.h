// SPDX-License-Identifier: Apache-2.0
#ifndef KVLA_APPS_APP_CONTEXT_H_
#define KVLA_APPS_APP_CONTEXT_H_

#include <atomic>
#include <filesystem>
#include <string>
#include <vector>

#include "base/status.h"
#include "harness/workers/progress.h"
#include "harness/workers/worker_pool.h"

namespace kvla {

// What every subcommand is given. A subcommand is one function in a file of its own,
//   CLI::App* AddXxx(CLI::App& parent, const AppContext& context, int* exit_code);
// that declares its options and sets *exit_code from its callback.
struct AppContext {
  std::filesystem::path asset_root;      // The folder that holds sim/models, tasks/ and configs/.
  std::filesystem::path plotly;          // plotly.min.js, for the page of `kvla report --html`
  std::vector<std::string> environment;  // of this process, "NAME=value"
};

// Exit statuses of the program.
inline constexpr int kExitDone = 0;
inline constexpr int kExitEpisodeErrors = 1;
inline constexpr int kExitBadInput = 2;
inline constexpr int kExitInterrupted = 130;

// Says what is wrong on stderr; the exit status that goes with it. An internal error is 1.
int ReportStatus(const Status& status);

// How this process may show its progress on stderr.
ProgressStyle StyleOfProgress(const AppContext& context);

// From here on Ctrl-C and SIGTERM set this flag once; a second one ends the process.
const std::atomic<bool>* CatchInterrupts();

// This program as a worker, one thread an operation in its libraries.
WorkerCommand SelfAsWorker(const AppContext& context);

}  // namespace kvla

#endif  // KVLA_APPS_APP_CONTEXT_H_

// SPDX-License-Identifier: Apache-2.0
#include "apps/app_context.h"

#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "base/streams.h"
#include "base/text.h"

namespace kvla {
namespace {

// A signal handler reaches nothing but static storage.
std::atomic<bool> interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free);

void OnInterrupt(int) { interrupted.store(true); }

}  // namespace

int ReportStatus(const Status& failure) {
  const Status status(failure.code(), Printable(failure.message()));
  switch (status.code()) {
    case StatusCode::kOk:
      return kExitDone;
    case StatusCode::kCancelled:
      Say("kvla: {}\n", status.message());
      return kExitInterrupted;
    case StatusCode::kBadInput:
    case StatusCode::kIo:
      Say("kvla: {}\n", status.message());
      return kExitBadInput;
    default:
      Say("kvla: internal error: {}\n", status.message());
      return kExitEpisodeErrors;
  }
}

ProgressStyle StyleOfProgress(const AppContext& context) {
  const bool dumb =
      std::ranges::find(context.environment, "TERM=dumb") != context.environment.end();
  return isatty(STDERR_FILENO) != 0 && !dumb ? ProgressStyle::kBar : ProgressStyle::kLines;
}

const std::atomic<bool>* CatchInterrupts() {
  struct sigaction action {};
  action.sa_handler = OnInterrupt;
  action.sa_flags = SA_RESETHAND;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  return &interrupted;
}

WorkerCommand SelfAsWorker(const AppContext& context) {
  WorkerCommand command;
  command.arguments = {"/proc/self/exe", "worker"};
  for (const std::string& variable : context.environment) {
    // Replaced below: of two settings of one variable the first would win.
    if (!variable.starts_with("OMP_NUM_THREADS=") && !variable.starts_with("MKL_NUM_THREADS=") &&
        !variable.starts_with("LP_NUM_THREADS=")) {
      command.environment.push_back(variable);
    }
  }
  command.environment.push_back("OMP_NUM_THREADS=1");
  command.environment.push_back("MKL_NUM_THREADS=1");
  // Mesa's software renderer draws on the calling thread.
  command.environment.push_back("LP_NUM_THREADS=0");
  return command;
}

}  // namespace kvla

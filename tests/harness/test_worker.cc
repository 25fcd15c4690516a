// SPDX-License-Identifier: Apache-2.0
// main() of the harness tests: gtest's, or a worker's when a test starts this program as one.
#include "tests/harness/test_worker.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>

#include "harness/demos/demo_worker.h"
#include "harness/demos/demos.h"
#include "harness/eval/eval_run.h"
#include "harness/eval/eval_worker.h"
#include "harness/workers/worker.h"

namespace kvla {
namespace {

void Hang() {
  while (true) pause();
}

// What one job does:
//   "real"  what the program's worker does
//   "obey"  what the job's "do" says
//   "die", "hang"  every job
//   "die-on-window"  real, but dies on every job of arm 1
Result<Message> Obey(const Message& job, const SendProgress& progress) {
  const std::string what = job.at("do").get<std::string>();
  if (what == "die") raise(SIGKILL);
  if (what == "exit") _exit(7);
  if (what == "hang") Hang();
  if (what == "fail") return BadInput("the job is bad");
  if (what == "die once") {
    const std::filesystem::path marker = job.at("marker").get<std::string>();
    if (!std::filesystem::exists(marker)) {
      std::ofstream(marker) << "x";
      raise(SIGKILL);
    }
  }
  if (what == "half an answer") {
    const uint32_t length = 100;
    (void)send(kWorkerFd, &length, sizeof(length), MSG_NOSIGNAL);
    Hang();
  }
  if (what == "no CBOR") {
    const uint32_t length = 1;
    (void)send(kWorkerFd, &length, sizeof(length), MSG_NOSIGNAL);
    (void)send(kWorkerFd, "\xff", 1, MSG_NOSIGNAL);
    Hang();
  }
  if (what == "say who") {
    if (Status status = progress({{"pid", getpid()}}); !status.ok()) return status;
    usleep(500'000);
  }
  if (what == "slow with progress") {
    for (int i = 0; i < 8; ++i) {
      usleep(100'000);
      if (Status status = progress({{"i", i}}); !status.ok()) return status;
    }
  }
  cpu_set_t allowed;
  const bool known = sched_getaffinity(0, sizeof(allowed), &allowed) == 0;
  return Message{{"echo", job}, {"pid", getpid()}, {"cores", known ? CPU_COUNT(&allowed) : 0}};
}

Result<DoJob> Prepare(const std::string& mode, const std::filesystem::path& log,
                      const Message& setup) {
  if (mode == "die in set-up") raise(SIGKILL);
  if (mode == "die twice in set-up" &&
      (!std::filesystem::exists(log) || std::filesystem::file_size(log) < 2)) {
    std::ofstream(log, std::ios::app) << "x";
    raise(SIGKILL);
  }
  if (mode == "hang in set-up") Hang();
  if (mode == "refuse") return BadInput("the set-up is bad");
  DoJob real;
  if (mode == "real" || mode == "die-on-window") {
    Result<DoJob> made =
        setup.value("kind", "") == "demos" ? PrepareDemoWorker(setup) : PrepareEvalWorker(setup);
    if (!made.ok()) return made.status();
    real = *std::move(made);
  }
  return DoJob([mode, log, real](const Message& job, const SendProgress& progress) {
    if (!log.empty()) std::ofstream(log, std::ios::app) << "x";
    if (mode == "die") raise(SIGKILL);
    if (mode == "hang") Hang();
    if (mode == "die-on-window" && job.at("arm") == 1) raise(SIGKILL);
    return real ? real(job, progress) : Obey(job, progress);
  });
}

int RunTestWorker(const std::string& mode, const std::filesystem::path& log) {
  DieWithParent();
  if (mode == "deaf") Hang();
  return ServeWorker(kWorkerFd, [&](const Message& setup) { return Prepare(mode, log, setup); });
}

}  // namespace
}  // namespace kvla

int main(int argc, char** argv) {
  if (argc == 4 && std::string(argv[1]) == "--kvla-test-worker") {
    return kvla::RunTestWorker(argv[2], argv[3]);
  }
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}

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
//   "die-on-first"  real, but dies in the middle of arm 0's episode 0
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

// The program's own worker, until a job comes that it is not to survive.
class Saboteur : public JobStepper {
 public:
  Saboteur(std::string mode, std::filesystem::path log, std::unique_ptr<JobStepper> real)
      : mode_(std::move(mode)), log_(std::move(log)), real_(std::move(real)) {}
  Status Begin(int64_t id, const Message& job) override {
    if (!log_.empty()) std::ofstream(log_, std::ios::app) << "x";
    if (mode_ == "die-on-window" && job.at("arm") == 1) raise(SIGKILL);
    marked_ = marked_ || (mode_ == "die-on-first" && job.at("seed") == 0 && job.at("arm") == 0);
    return real_->Begin(id, job);
  }
  Result<std::vector<Finished>> Step() override {
    if (marked_ && ++steps_ > 5) raise(SIGKILL);
    return real_->Step();
  }

 private:
  std::string mode_;
  std::filesystem::path log_;
  std::unique_ptr<JobStepper> real_;
  bool marked_ = false;
  int steps_ = 0;
};

Result<WorkerTask> Prepare(const std::string& mode, const std::filesystem::path& log,
                           const Message& setup) {
  if (mode == "die in set-up") raise(SIGKILL);
  if (mode == "die twice in set-up" &&
      (!std::filesystem::exists(log) || std::filesystem::file_size(log) < 2)) {
    std::ofstream(log, std::ios::app) << "x";
    raise(SIGKILL);
  }
  if (mode == "hang in set-up") Hang();
  if (mode == "refuse") return BadInput("the set-up is bad");
  if (mode == "real" || mode.starts_with("die-on-")) {
    Result<WorkerTask> real =
        setup.value("kind", "") == "demos" ? PrepareDemoWorker(setup) : PrepareEvalWorker(setup);
    if (!real.ok() || real->stepper == nullptr) return real;
    return WorkerTask(std::make_unique<Saboteur>(mode, log, std::move(real->stepper)));
  }
  return WorkerTask(DoJob([mode, log](const Message& job, const SendProgress& progress) {
    if (!log.empty()) std::ofstream(log, std::ios::app) << "x";
    if (mode == "die") raise(SIGKILL);
    if (mode == "hang") Hang();
    return Obey(job, progress);
  }));
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

// SPDX-License-Identifier: Apache-2.0
// The worker's side of a pool: a process started by exec that does one job after another, or
// several at a time.
#ifndef KVLA_HARNESS_WORKERS_WORKER_H_
#define KVLA_HARNESS_WORKERS_WORKER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "base/status.h"
#include "harness/workers/worker_frames.h"

namespace kvla {

// The descriptor on which a worker finds its socket.
inline constexpr int kWorkerFd = 3;

// Sends something about the job in progress to the parent.
using SendProgress = std::function<Status(const Message&)>;
// Does one job. An error ends the whole pool; what belongs to one episode goes into the result.
using DoJob = std::function<Result<Message>(const Message& job, const SendProgress& progress)>;

// A worker that holds several jobs (PoolOptions::slots) and takes turns at them.
class JobStepper {
 public:
  struct Finished {
    int64_t id = 0;
    Message result;
  };
  virtual ~JobStepper() = default;
  // Takes a job in. `id` names it in Finished.
  virtual Status Begin(int64_t id, const Message& job) = 0;
  // A turn of all that is held, of a second at most; what ended with it.
  virtual Result<std::vector<Finished>> Step() = 0;
};

// What a worker does: one of the two.
struct WorkerTask {
  explicit WorkerTask(DoJob one) : do_job(std::move(one)) {}
  explicit WorkerTask(std::unique_ptr<JobStepper> several) : stepper(std::move(several)) {}
  DoJob do_job;
  std::unique_ptr<JobStepper> stepper;
};
// Prepares a worker from the pool's set-up message (models, checkpoints).
using PrepareWorker = std::function<Result<WorkerTask>(const Message& setup)>;

// Has the kernel kill this process when its parent dies. Call it first.
void DieWithParent();

// Serves until the parent closes the socket. Returns the exit status.
int ServeWorker(int fd, const PrepareWorker& prepare);

// Status as a message, and back.
Message StatusMessage(const Status& status);
Status StatusFrom(const Message& message);

}  // namespace kvla

#endif  // KVLA_HARNESS_WORKERS_WORKER_H_

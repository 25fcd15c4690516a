// SPDX-License-Identifier: Apache-2.0
// The worker's side of a pool: a process started by exec that does one job after another.
#ifndef KVLA_HARNESS_WORKERS_WORKER_H_
#define KVLA_HARNESS_WORKERS_WORKER_H_

#include <functional>

#include "base/status.h"
#include "harness/workers/worker_frames.h"

namespace kvla {

// The descriptor on which a worker finds its socket.
inline constexpr int kWorkerFd = 3;

// Sends something about the job in progress to the parent.
using SendProgress = std::function<Status(const Message&)>;
// Does one job. An error ends the whole pool; what belongs to one episode goes into the result.
using DoJob = std::function<Result<Message>(const Message& job, const SendProgress& progress)>;
// Prepares a worker from the pool's set-up message (models, checkpoints).
using PrepareWorker = std::function<Result<DoJob>(const Message& setup)>;

// Has the kernel kill this process when its parent dies. Call it first.
void DieWithParent();

// Serves until the parent closes the socket. Returns the exit status.
int ServeWorker(int fd, const PrepareWorker& prepare);

// Status as a message, and back.
Message StatusMessage(const Status& status);
Status StatusFrom(const Message& message);

}  // namespace kvla

#endif  // KVLA_HARNESS_WORKERS_WORKER_H_

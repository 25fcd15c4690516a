// SPDX-License-Identifier: Apache-2.0
// The parent's side: worker processes, jobs handed out one by one, deaths and hangs survived.
#ifndef KVLA_HARNESS_WORKERS_WORKER_POOL_H_
#define KVLA_HARNESS_WORKERS_WORKER_POOL_H_

#include <atomic>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "harness/workers/worker_frames.h"

namespace kvla {

// What to exec, and in which environment. Workers find their socket at kWorkerFd.
struct WorkerCommand {
  std::vector<std::string> arguments;    // [0] is the program
  std::vector<std::string> environment;  // "NAME=value"
};

struct PoolOptions {
  int workers = 1;
  int slots = 1;  // jobs that a worker holds at a time; above 1 it is a JobStepper
  // A job that takes longer is killed, its worker with it; restarted by each progress. Jobs that
  // share a worker have so many times as long.
  double job_limit_s = 600;
  double setup_limit_s = 300;  // the same for a worker's set-up
  double send_limit_s = 10;    // a message that a worker does not take in time is dropped
  // Of a job whose worker died, each on a worker that holds nothing else meanwhile: which of
  // several took the worker down nobody knows, and only that one will again.
  int retries = 1;
  std::optional<int> core;  // ties every worker to it, see harness/workers/core_lock.h
  Message setup;            // sent to every new worker first
  const std::atomic<bool>* cancel = nullptr;  // may be null
};

// What the parent does with a pool's events, all on the calling thread. An error ends the pool.
class PoolClient {
 public:
  virtual ~PoolClient() = default;
  // The next job; nullopt when all are handed out.
  virtual std::optional<Message> NextJob() = 0;
  virtual Status OnProgress(const Message& job, const Message& body) = 0;
  virtual Status OnDone(const Message& job, const Message& body) = 0;
  // The job's workers died or hung, retries included.
  virtual Status OnLost(const Message& job, const std::string& why) = 0;
  // Now and then, for progress bars.
  virtual void OnTick() = 0;
  // This process did not run for so long (it was stopped, or its machine was); no limit counts it.
  virtual void OnPause(double /*seconds*/) {}
};

// Runs until all jobs are done. kCancelled when `cancel` became true (workers are killed, what they
// were doing is lost); the worker's status when one failed; no worker outlives the call.
Status RunPool(const WorkerCommand& command, const PoolOptions& options, PoolClient* client);

}  // namespace kvla

#endif  // KVLA_HARNESS_WORKERS_WORKER_POOL_H_

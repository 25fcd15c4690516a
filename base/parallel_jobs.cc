// SPDX-License-Identifier: Apache-2.0
#include "base/parallel_jobs.h"

#include <mutex>
#include <thread>
#include <vector>

namespace kvla {
namespace {

class WorkList {
 public:
  WorkList(int count, const std::function<bool(int, int)>& progress)
      : count_(count), progress_(progress) {}

  void Work(const std::function<Result<Job>()>& begin) {
    const Result<Job> job = begin();
    if (!job.ok()) return Fail(job.status());
    for (int i = Next(); i >= 0; i = Next()) {
      if (const Status status = (*job)(i); !status.ok()) return Fail(status);
    }
  }

  Status Finish() {
    if (status_.ok() && progress_) progress_(count_, count_);
    return status_;
  }

 private:
  // -1: nothing left.
  int Next() {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (next_ == count_ || !status_.ok()) return -1;
    if (progress_ && !progress_(next_, count_)) {
      status_ = Status(StatusCode::kCancelled, "cancelled");
      return -1;
    }
    return next_++;
  }

  void Fail(const Status& status) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (status_.ok()) status_ = status;
  }

  const int count_;
  const std::function<bool(int, int)>& progress_;
  std::mutex mutex_;  // guards what follows
  int next_ = 0;
  Status status_;
};

}  // namespace

Status RunParallelJobs(int count, int threads, const std::function<Result<Job>()>& begin,
                       const std::function<bool(int, int)>& progress) {
  WorkList list(count, progress);
  std::vector<std::thread> workers;
  for (int i = 1; i < threads; ++i) workers.emplace_back([&] { list.Work(begin); });
  list.Work(begin);
  for (std::thread& worker : workers) worker.join();
  return list.Finish();
}

}  // namespace kvla

// SPDX-License-Identifier: Apache-2.0
// A list of independent jobs, of which each of several threads takes the next.
#ifndef KVLA_BASE_PARALLEL_JOBS_H_
#define KVLA_BASE_PARALLEL_JOBS_H_

#include <functional>

#include "base/status.h"

namespace kvla {

// Does job i.
using Job = std::function<Status(int i)>;

// Does jobs 0 ... count - 1 on `threads` threads, the caller's among them. Each thread calls
// `begin` once for a Job of its own, which is called and destroyed on that thread. Stops at the
// first error, which is returned. `progress(done, total)` may be empty, is called by one thread at
// a time; returning false from it cancels.
Status RunParallelJobs(int count, int threads, const std::function<Result<Job>()>& begin,
                       const std::function<bool(int, int)>& progress);

}  // namespace kvla

#endif  // KVLA_BASE_PARALLEL_JOBS_H_

// SPDX-License-Identifier: Apache-2.0
// Independent work, each piece on one thread.
#ifndef KVLA_POLICY_COMPACT_TRAINING_PARALLEL_TORCH_JOBS_H_
#define KVLA_POLICY_COMPACT_TRAINING_PARALLEL_TORCH_JOBS_H_

#include <cstddef>
#include <functional>

namespace kvla {

// Calls work(0) ... work(count - 1) from `threads` threads, each of which runs LibTorch's operators
// alone: on nets this small a second thread an operator gains less. Returns when all are done.
// Throws what a piece throws. Modes of the calling thread (no gradients, autocast) are not those of
// the pieces.
void RunParallelTorchJobs(size_t count, int threads, const std::function<void(size_t)>& work);

}  // namespace kvla

#endif  // KVLA_POLICY_COMPACT_TRAINING_PARALLEL_TORCH_JOBS_H_

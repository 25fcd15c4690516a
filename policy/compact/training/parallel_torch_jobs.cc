// SPDX-License-Identifier: Apache-2.0
#include "policy/compact/training/parallel_torch_jobs.h"

#include <atomic>
#include <future>
#include <vector>

#include "tensors/torch.h"

namespace kvla {

void RunParallelTorchJobs(size_t count, int threads, const std::function<void(size_t)>& work) {
  std::atomic<size_t> next = 0;
  const auto take = [&] {
    torch::set_num_threads(1);
    for (size_t i = next++; i < count; i = next++) work(i);
  };
  std::vector<std::future<void>> workers;
  for (int i = 0; i < threads; ++i) workers.push_back(std::async(std::launch::async, take));
  for (const std::future<void>& worker : workers) worker.wait();
  torch::set_num_threads(threads);  // a part of that setting belongs to the whole process
  for (std::future<void>& worker : workers) worker.get();
}

}  // namespace kvla

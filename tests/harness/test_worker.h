// SPDX-License-Identifier: Apache-2.0
// This test executable as a worker process, with the faults that a test asks for.
#ifndef KVLA_TESTS_HARNESS_TEST_WORKER_H_
#define KVLA_TESTS_HARNESS_TEST_WORKER_H_

#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "harness/workers/worker_pool.h"
#include "tests/scratch_dir.h"

extern char** environ;

namespace kvla {

// `mode`, see test_worker.cc; every job that a worker takes adds a byte to `log`.
inline WorkerCommand TestWorker(const std::string& mode, const std::filesystem::path& log = "") {
  WorkerCommand command;
  command.arguments = {"/proc/self/exe", "--kvla-test-worker", mode, log.string()};
  for (char** variable = environ; *variable != nullptr; ++variable) {
    command.environment.emplace_back(*variable);
  }
  return command;
}

inline int JobsTaken(const std::filesystem::path& log) {
  std::error_code error;
  const auto size = std::filesystem::file_size(log, error);
  return error ? 0 : static_cast<int>(size);
}

// A policy of a few thousand random weights in `to`; returns `to`.
std::filesystem::path MakeCheckpoint(const std::filesystem::path& to);

}  // namespace kvla

#endif  // KVLA_TESTS_HARNESS_TEST_WORKER_H_

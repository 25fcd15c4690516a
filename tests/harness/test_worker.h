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

#include "harness/worker_pool.h"

extern char** environ;

namespace kvla {

class ScratchDir {
 public:
  ScratchDir() {
    std::string name = (std::filesystem::temp_directory_path() / "kvla_harness_XXXXXX").string();
    path_ = mkdtemp(name.data());
  }
  ~ScratchDir() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }
  ScratchDir(const ScratchDir&) = delete;
  ScratchDir& operator=(const ScratchDir&) = delete;
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

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

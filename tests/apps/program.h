// SPDX-License-Identifier: Apache-2.0
// Runs the real program from outside, as a person or a script does.
#ifndef KVLA_TESTS_APPS_PROGRAM_H_
#define KVLA_TESTS_APPS_PROGRAM_H_

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "tests/scratch_dir.h"

extern char** environ;

namespace kvla {

// Evaluations of tests are no looks at the evaluation split: they and all that they start write
// their ledger nowhere, unless a test says where.
inline const bool kNoLedger = setenv("KVLA_LEDGER", "/dev/null", 0) == 0;

inline std::string ReadText(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline void WriteText(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

// Everything below a folder, sorted, relative to it.
inline std::set<std::string> Listing(const std::filesystem::path& folder) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    names.insert(entry.path().lexically_relative(folder).string());
  }
  return names;
}

struct Output {
  int status = -1;  // exit status; 128 + N when signal N ended it, as a shell says
  std::string out, err;
};

// One run of the program in the background; killed at the end if it still runs.
class Program {
 public:
  // Descriptors of the test for its streams; none: files that Wait() reads; closed: none at all.
  struct Streams {
    static constexpr int kFile = -1, kClosed = -2;
    int out = kFile, err = kFile;
  };

  explicit Program(std::vector<std::string> arguments) : Program(std::move(arguments), {}) {}
  Program(std::vector<std::string> arguments, Streams streams) {
    arguments.insert(arguments.begin(), KVLA_PROGRAM);
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    const int flags = O_WRONLY | O_CREAT | O_TRUNC;
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    for (const auto& [stream, fd, file] :
         {std::tuple{1, streams.out, "out"}, {2, streams.err, "err"}}) {
      if (fd == Streams::kFile) {
        posix_spawn_file_actions_addopen(&actions, stream, (streams_ / file).c_str(), flags, 0600);
      } else if (fd == Streams::kClosed) {
        posix_spawn_file_actions_addclose(&actions, stream);
      } else {
        posix_spawn_file_actions_adddup2(&actions, fd, stream);
      }
    }
    posix_spawn_file_actions_addclosefrom_np(&actions, 3);  // of whoever started the tests
    if (posix_spawn(&pid_, KVLA_PROGRAM, &actions, nullptr, argv.data(), environ) != 0) pid_ = -1;
    posix_spawn_file_actions_destroy(&actions);
  }
  ~Program() {
    if (pid_ > 0) {
      Signal(SIGKILL);
      Wait();
    }
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  pid_t pid() const { return pid_; }
  void Signal(int signal) {
    if (pid_ > 0) kill(pid_, signal);
  }
  // Without reaping it.
  bool Ended() const {
    siginfo_t info{};
    if (pid_ <= 0) return true;
    return waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
           info.si_pid == pid_;
  }
  // Processes that it started and that still run.
  std::set<pid_t> Children() const {
    std::set<pid_t> children;
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
      const pid_t pid = std::atoi(entry.path().filename().c_str());
      if (pid <= 0) continue;
      const std::string stat = ReadText(entry.path() / "stat");
      // "pid (name) state parent ..."; the name may hold anything.
      const size_t after_name = stat.rfind(") ");
      if (after_name != std::string::npos && std::atoi(stat.c_str() + after_name + 4) == pid_) {
        children.insert(pid);
      }
    }
    return children;
  }
  Output Wait() {
    Output output;
    int status = 0;
    if (pid_ > 0 && waitpid(pid_, &status, 0) == pid_) {
      output.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
    pid_ = -1;
    output.out = ReadText(streams_ / "out");
    output.err = ReadText(streams_ / "err");
    return output;
  }

 private:
  ScratchDir streams_;
  pid_t pid_ = -1;
};

inline Output Kvla(std::vector<std::string> arguments) {
  return Program(std::move(arguments)).Wait();
}

// A policy of a few thousand weights that was made as a person makes one: demonstrations, then one
// step of training. It solves nothing.
class TinyPolicy {
 public:
  TinyPolicy() {
    WriteText(scratch_ / "demos.yaml",
              "image_size: 32\n"
              "sets:\n"
              "  - {task: pick_place, delay: short, split: train, episodes: 1}\n"
              "  - {task: pick_place, delay: short, split: validation, episodes: 1}\n");
    const std::filesystem::path demos = scratch_ / "demos";
    WriteText(scratch_ / "train.yaml",
              "demos: " + (demos / "train").string() + "\nvalidation: " +
                  (demos / "validation").string() + "\nout: " + folder().string() +
                  "\n"
                  "steps: 1\nbatch: 1\nsample_blocks: 8\nfull_history_share: 0\nthreads: 1\n"
                  "policy: {image_size: 32, hidden_size: 32, num_layers: 2, num_heads: 2,\n"
                  "         num_kv_heads: 1, intermediate_size: 48, window_blocks: 4,\n"
                  "         chunk_blocks: 2, age_clamp_blocks: 8}\n");
    made_ = Kvla({"demos", (scratch_ / "demos.yaml").string(), "--out", demos.string()});
    if (made_.status == 0) made_ = Kvla({"train", (scratch_ / "train.yaml").string()});
  }
  const Output& made() const { return made_; }
  std::filesystem::path folder() const { return scratch_ / "policy"; }

 private:
  ScratchDir scratch_;
  Output made_;
};

// A copy of one policy, made once a process.
inline void CopyCheckpoint(const std::filesystem::path& to) {
  static const TinyPolicy policy;
  ASSERT_EQ(policy.made().status, 0) << policy.made().err;
  std::filesystem::create_directories(to);
  for (const char* name : {"config.yaml", "model.safetensors"}) {
    std::filesystem::copy_file(policy.folder() / name, to / name);
  }
}

// Two arms on the control task.
inline std::string RunYaml(const std::filesystem::path& checkpoint, int episodes) {
  return "name: test\ncheckpoint: " + checkpoint.string() +
         "\nepisodes: " + std::to_string(episodes) +
         "\n"
         "tasks:\n"
         "  - {name: pick_place, delays: [short]}\n"
         "arms:\n"
         "  - name: full\n"
         "    cache: {policy: full}\n"
         "  - name: window\n"
         "    cache: {policy: window}\n";
}

}  // namespace kvla

#endif  // KVLA_TESTS_APPS_PROGRAM_H_

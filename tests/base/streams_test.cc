// SPDX-License-Identifier: Apache-2.0
#include "base/streams.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <functional>
#include <string>

#include "base/files.h"
#include "tests/scratch_dir.h"

namespace kvla {
namespace {

// What `act` returns in a process of its own, whose streams it may ruin; 128 + N on signal N.
int InChild(const std::function<int()>& act) {
  const pid_t child = fork();
  if (child == 0) _exit(act());
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void Redirect(const std::string& path, int stream) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT, 0600);
  dup2(fd, stream);
  close(fd);
}

TEST(Streams, AFileOpenedLaterIsNoStream) {
  const ScratchDir dir;
  const int status = InChild([&] {
    for (int stream = 0; stream <= 2; ++stream) close(stream);
    ReserveStreams();
    const int fd = open((dir / "database").c_str(), O_RDWR | O_CREAT, 0600);
    Say("for nobody\n");
    Print("for nobody\n");
    FlushStdout();
    return fd > STDERR_FILENO && !StdoutIsWhole() ? 7 : 8;
  });
  EXPECT_EQ(status, 7);
  EXPECT_EQ(*ReadFile(dir / "database"), "");
}

TEST(Streams, WhatStderrDoesNotTakeIsLostAndNothingElse) {
  EXPECT_EQ(InChild([] {
              ReserveStreams();
              Redirect("/dev/full", STDERR_FILENO);
              Say("{} of {}\n", 1, 2);
              int pipe_ends[2];
              if (pipe(pipe_ends) != 0) return 1;
              dup2(pipe_ends[1], STDERR_FILENO);
              close(pipe_ends[0]);
              Say("to nobody\n");
              return 7;
            }),
            7);
}

TEST(Streams, ThatStdoutIsNotWholeIsSaidOnce) {
  const ScratchDir dir;
  EXPECT_EQ(InChild([&] {
              Redirect("/dev/full", STDOUT_FILENO);
              Redirect(dir / "err", STDERR_FILENO);
              PrintText("short");
              if (!StdoutIsWhole()) return 1;  // it lies in the buffer
              FlushStdout();
              PrintText(std::string(1 << 20, 'x'));
              FlushStdout();
              return StdoutIsWhole() ? 2 : 7;
            }),
            7);
  EXPECT_EQ(*ReadFile(dir / "err"), "kvla: cannot write to stdout: No space left on device\n");
}

TEST(Streams, AReaderThatLeftIsNoMatterForAMessage) {
  const ScratchDir dir;
  EXPECT_EQ(InChild([&] {
              ReserveStreams();
              Redirect(dir / "err", STDERR_FILENO);
              int pipe_ends[2];
              if (pipe(pipe_ends) != 0) return 1;
              dup2(pipe_ends[1], STDOUT_FILENO);
              close(pipe_ends[0]);
              Print("to nobody\n");
              FlushStdout();
              return StdoutIsWhole() ? 2 : 7;
            }),
            7);
  EXPECT_EQ(*ReadFile(dir / "err"), "");
}

}  // namespace
}  // namespace kvla

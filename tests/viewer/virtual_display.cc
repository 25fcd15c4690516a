// SPDX-License-Identifier: Apache-2.0
#include "tests/viewer/virtual_display.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace kvla {
namespace {

// True when a server answers at the display's socket.
bool Answers(const std::string& number) {
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::snprintf(address.sun_path, sizeof(address.sun_path), "/tmp/.X11-unix/X%s", number.c_str());
  const bool answers =
      connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  close(fd);
  return answers;
}

}  // namespace

VirtualDisplay::VirtualDisplay() {
  if (const char* display = std::getenv("DISPLAY")) previous_ = display;
  // Two servers that start at the same moment may fight over a number: the loser tries again.
  constexpr int kAttempts = 3;
  for (int i = 0; i < kAttempts; ++i) {
    Start();
    if (error_.empty()) return;
    Stop();
  }
}

void VirtualDisplay::Start() {
  error_ = "Xvfb did not start: install the system package xvfb";
  int ends[2];
  if (pipe(ends) != 0) return;
  const std::string number_to = std::to_string(ends[1]);
  pid_ = fork();
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGTERM);  // a test that crashes leaves no server behind
    close(ends[0]);
    const int null = open("/dev/null", O_WRONLY);
    dup2(null, STDERR_FILENO);
    execlp("Xvfb", "Xvfb", "-displayfd", number_to.c_str(), "-screen", "0", "1280x800x24",
           "-nolisten", "tcp", "-noreset", static_cast<char*>(nullptr));
    _exit(127);
  }
  close(ends[1]);
  std::string number;
  char c = 0;
  pollfd waiting{ends[0], POLLIN, 0};
  constexpr int kTimeoutMs = 20000;
  while (poll(&waiting, 1, kTimeoutMs) == 1 && read(ends[0], &c, 1) == 1 && c != '\n') number += c;
  close(ends[0]);
  if (number.empty() || !Answers(number)) return;
  setenv("DISPLAY", (":" + number).c_str(), 1);
  error_.clear();
}

void VirtualDisplay::Stop() {
  if (pid_ <= 0) return;
  kill(pid_, SIGTERM);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

VirtualDisplay::~VirtualDisplay() {
  Stop();
  if (previous_.empty()) {
    unsetenv("DISPLAY");
  } else {
    setenv("DISPLAY", previous_.c_str(), 1);
  }
}

}  // namespace kvla

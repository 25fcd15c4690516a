// SPDX-License-Identifier: Apache-2.0
#include "base/streams.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>

namespace kvla {
namespace {

// stdio keeps that stdout failed, but not why.
void NoteFailure(bool failed_before, int reason) {
  if (failed_before || reason == EPIPE) return;
  Say("kvla: cannot write to stdout: {}\n", std::strerror(reason));
}

}  // namespace

void ReserveStreams() {
  for (int stream = STDIN_FILENO; stream <= STDERR_FILENO; ++stream) {
    // The lowest free descriptor is the stream's; read-only, so that writing to it is an error.
    if (fcntl(stream, F_GETFD) < 0) (void)!open("/dev/null", O_RDONLY);
  }
  std::signal(SIGPIPE, SIG_IGN);
}

void SayText(std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = write(STDERR_FILENO, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    text.remove_prefix(static_cast<size_t>(n));
  }
}

void PrintText(std::string_view text) {
  const bool failed_before = std::ferror(stdout) != 0;
  errno = 0;
  if (std::fwrite(text.data(), 1, text.size(), stdout) < text.size()) {
    NoteFailure(failed_before, errno);
  }
}

void FlushStdout() {
  const bool failed_before = std::ferror(stdout) != 0;
  errno = 0;
  if (std::fflush(stdout) != 0) NoteFailure(failed_before, errno);
}

bool StdoutIsWhole() { return std::ferror(stdout) == 0; }

}  // namespace kvla

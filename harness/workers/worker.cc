// SPDX-License-Identifier: Apache-2.0
#include "harness/workers/worker.h"

#include <poll.h>
#include <sys/prctl.h>

#include <csignal>

namespace kvla {

Message StatusMessage(const Status& status) {
  return {
      {"type", "failed"}, {"code", static_cast<int>(status.code())}, {"message", status.message()}};
}

Status StatusFrom(const Message& message) {
  return {static_cast<StatusCode>(message.value("code", static_cast<int>(StatusCode::kInternal))),
          message.value("message", std::string("a worker failed without saying why"))};
}

void DieWithParent() {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  // It may have died before the call above: then its end of the socket is closed.
  pollfd socket = {kWorkerFd, 0, 0};
  if (poll(&socket, 1, 0) > 0 && (socket.revents & (POLLHUP | POLLERR)) != 0) raise(SIGKILL);
}

int ServeWorker(int fd, const PrepareWorker& prepare) {
  const Result<Message> setup = ReadMessage(fd);
  if (!setup.ok()) return 0;
  Result<DoJob> work = prepare(*setup);
  if (!work.ok()) {
    // The parent reports it; a parent that is gone needs no report.
    return WriteMessage(fd, StatusMessage(work.status())).ok() ? 0 : 1;
  }
  if (!WriteMessage(fd, {{"type", "ready"}}).ok()) return 1;
  const SendProgress progress = [fd](const Message& body) {
    return WriteMessage(fd, {{"type", "progress"}, {"body", body}});
  };
  while (true) {
    const Result<Message> job = ReadMessage(fd);
    if (!job.ok()) return job.status().code() == StatusCode::kCancelled ? 0 : 1;
    Result<Message> result = (*work)(*job, progress);
    const Message answer = result.ok() ? Message{{"type", "done"}, {"body", *std::move(result)}}
                                       : StatusMessage(result.status());
    if (!WriteMessage(fd, answer).ok()) return 1;
  }
}

}  // namespace kvla

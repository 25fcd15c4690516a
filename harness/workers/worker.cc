// SPDX-License-Identifier: Apache-2.0
#include "harness/workers/worker.h"

#include <poll.h>
#include <sys/prctl.h>

#include <cerrno>
#include <csignal>
#include <optional>

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

namespace {

int ServeOneByOne(int fd, const DoJob& work) {
  while (true) {
    const Result<Message> order = ReadMessage(fd);
    if (!order.ok()) return order.status().code() == StatusCode::kCancelled ? 0 : 1;
    const Message& id = order->at("id");
    const SendProgress progress = [fd, &id](const Message& body) {
      return WriteMessage(fd, {{"type", "progress"}, {"id", id}, {"body", body}});
    };
    Result<Message> result = work(order->at("job"), progress);
    const Message answer = result.ok()
                               ? Message{{"type", "done"}, {"id", id}, {"body", *std::move(result)}}
                               : StatusMessage(result.status());
    if (!WriteMessage(fd, answer).ok()) return 1;
  }
}

// Takes in what has come between two turns; waits for a job only where it holds none.
int ServeSeveral(int fd, JobStepper& work) {
  MessageBuffer buffer;
  int held = 0;
  while (true) {
    pollfd socket = {fd, POLLIN, 0};
    const int ready = poll(&socket, 1, held > 0 ? 0 : -1);
    if (ready < 0 && errno != EINTR) return 1;
    if (ready > 0 && !buffer.Fill(fd)) return held == 0 ? 0 : 1;
    while (true) {
      Result<std::optional<Message>> order = buffer.Take();
      if (!order.ok()) return 1;
      if (!order->has_value()) break;
      const Status status = work.Begin((**order).at("id").get<int64_t>(), (**order).at("job"));
      if (!status.ok()) return WriteMessage(fd, StatusMessage(status)).ok() ? 0 : 1;
      ++held;
    }
    if (held == 0) continue;
    Result<std::vector<JobStepper::Finished>> finished = work.Step();
    if (!finished.ok()) return WriteMessage(fd, StatusMessage(finished.status())).ok() ? 0 : 1;
    for (JobStepper::Finished& one : *finished) {
      --held;
      const Message answer = {{"type", "done"}, {"id", one.id}, {"body", std::move(one.result)}};
      if (!WriteMessage(fd, answer).ok()) return 1;
    }
  }
}

}  // namespace

int ServeWorker(int fd, const PrepareWorker& prepare) {
  const Result<Message> setup = ReadMessage(fd);
  if (!setup.ok()) return 0;
  Result<WorkerTask> work = prepare(*setup);
  if (!work.ok()) {
    // The parent reports it; a parent that is gone needs no report.
    return WriteMessage(fd, StatusMessage(work.status())).ok() ? 0 : 1;
  }
  if (!WriteMessage(fd, {{"type", "ready"}}).ok()) return 1;
  return work->stepper != nullptr ? ServeSeveral(fd, *work->stepper)
                                  : ServeOneByOne(fd, work->do_job);
}

}  // namespace kvla

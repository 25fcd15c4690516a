// SPDX-License-Identifier: Apache-2.0
#include "harness/workers/worker_pool.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <deque>
#include <map>
#include <memory>

#include "harness/workers/worker.h"

namespace kvla {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kTick{200};

SteadyClock::duration ToDuration(double seconds) {
  return std::chrono::duration_cast<SteadyClock::duration>(std::chrono::duration<double>(seconds));
}

struct Job {
  Message message;
  int attempts = 0;  // workers that went down while they held it
  SteadyClock::time_point deadline;
};

// How a worker process ended, in words.
std::string DeathText(int wait_status) {
  if (WIFSIGNALED(wait_status)) {
    return fmt::format("its worker was killed by signal {} ({})", WTERMSIG(wait_status),
                       strsignal(WTERMSIG(wait_status)));
  }
  return fmt::format("its worker exited with status {}", WEXITSTATUS(wait_status));
}

// One worker process and its socket; killed and reaped when destroyed.
class Process {
 public:
  static Result<std::unique_ptr<Process>> Spawn(const WorkerCommand& command,
                                                std::optional<int> core, double send_limit_s);
  ~Process() {
    if (fd_ >= 0) close(fd_);
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      Reap();
    }
  }
  int fd() const { return fd_; }
  // Waits for the end of a process that closed its socket or was killed.
  std::string Reap() {
    int status = 0;
    while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    return DeathText(status);
  }
  void Kill() { kill(pid_, SIGKILL); }
  // Lets an idle worker see the end of its stream and leave by itself; the destructor kills it if
  // it has not left after a while.
  void Finish() {
    close(fd_);
    fd_ = -1;
    for (int i = 0; i < 300; ++i) {
      if (waitpid(pid_, nullptr, WNOHANG) == pid_) {
        pid_ = -1;
        return;
      }
      usleep(10'000);
    }
  }

  MessageBuffer buffer;
  bool ready = false;
  std::map<int64_t, Job> jobs;       // that it holds, by the id that it knows them by
  SteadyClock::time_point deadline;  // of its set-up
  // Of what it holds, a job that has been lost once is alone.
  bool Takes(int slots) const {
    if (!ready || static_cast<int>(jobs.size()) >= slots) return false;
    return jobs.empty() || jobs.begin()->second.attempts == 0;
  }

 private:
  int fd_ = -1;
  pid_t pid_ = -1;
};

Result<std::unique_ptr<Process>> Process::Spawn(const WorkerCommand& command,
                                                std::optional<int> core, double send_limit_s) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
    return InternalError(fmt::format("socketpair: {}", std::strerror(errno)));
  }
  // A descriptor equal to kWorkerFd would keep its close-on-exec flag through dup2.
  if (pair[1] == kWorkerFd) {
    const int moved = fcntl(pair[1], F_DUPFD_CLOEXEC, kWorkerFd + 1);
    close(pair[1]);
    pair[1] = moved;
  }
  auto process = std::make_unique<Process>();
  process->fd_ = pair[0];
  // A worker that stops reading must not stop the parent: what it cannot take is dropped, and the
  // watchdog finds it.
  const auto whole = static_cast<time_t>(send_limit_s);
  const timeval patience{whole, static_cast<suseconds_t>(1e6 * (send_limit_s - whole))};
  setsockopt(pair[0], SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));

  std::vector<char*> arguments, environment;
  for (const std::string& a : command.arguments) arguments.push_back(const_cast<char*>(a.c_str()));
  for (const std::string& e : command.environment) {
    environment.push_back(const_cast<char*>(e.c_str()));
  }
  arguments.push_back(nullptr);
  environment.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, pair[1], kWorkerFd);
  // Its own group: Ctrl-C reaches the parent alone, which decides.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  posix_spawnattr_setpgroup(&attributes, 0);
  const int error = posix_spawn(&process->pid_, command.arguments[0].c_str(), &actions, &attributes,
                                arguments.data(), environment.data());
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  close(pair[1]);
  if (error != 0) {
    process->pid_ = -1;
    return InternalError(
        fmt::format("{}: cannot be started: {}", command.arguments[0], std::strerror(error)));
  }
  if (core) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(*core, &one);
    if (sched_setaffinity(process->pid_, sizeof(one), &one) != 0) {
      return InternalError(fmt::format("core {}: {}", *core, std::strerror(errno)));
    }
  }
  return process;
}

class Pool {
 public:
  Pool(const WorkerCommand& command, const PoolOptions& options, PoolClient* client)
      : command_(command), options_(options), client_(client) {}

  Status Run();

 private:
  Status StartWorker();
  Status Handle(Process* process, const Message& message);
  Status HandlePoll(Process* process);
  Status Lose(Process* process, const std::string& why);
  std::optional<Job> Next(bool fresh);
  void Assign(Process* process);
  void AssignAll();
  SteadyClock::time_point JobDeadline(const Job& job) const {
    const int sharing = job.attempts == 0 ? options_.slots : 1;
    return SteadyClock::now() + ToDuration(sharing * options_.job_limit_s);
  }
  void LeaveOutPause(SteadyClock::time_point now);

  const WorkerCommand& command_;
  const PoolOptions& options_;
  PoolClient* client_;
  std::vector<std::unique_ptr<Process>> processes_;
  std::deque<Job> retry_;
  bool exhausted_ = false;
  int64_t next_id_ = 0;
  int setup_deaths_ = 0;
  SteadyClock::time_point last_tick_ = SteadyClock::now();
};

// The loop comes by every kTick. Where it comes much later this process was stopped, and its
// workers most likely with it: they get that time on top. (While the machine itself sleeps, the
// steady clock stands still.)
void Pool::LeaveOutPause(SteadyClock::time_point now) {
  constexpr auto kMuchLater = std::chrono::seconds(1);
  const SteadyClock::duration late = now - last_tick_ - kTick;
  last_tick_ = now;
  if (late < kMuchLater) return;
  for (const auto& process : processes_) {
    process->deadline += late;
    for (auto& [id, job] : process->jobs) job.deadline += late;
  }
  client_->OnPause(std::chrono::duration<double>(late).count());
}

// `fresh`: none that has been lost before.
std::optional<Job> Pool::Next(bool fresh) {
  if (!fresh && !retry_.empty()) {
    Job job = std::move(retry_.front());
    retry_.pop_front();
    return job;
  }
  if (exhausted_) return std::nullopt;
  std::optional<Message> message = client_->NextJob();
  if (!message) {
    exhausted_ = true;
    return std::nullopt;
  }
  return Job{*std::move(message), 0, {}};
}

Status Pool::StartWorker() {
  Result<std::unique_ptr<Process>> process =
      Process::Spawn(command_, options_.core, options_.send_limit_s);
  if (!process.ok()) return process.status();
  (*process)->deadline = SteadyClock::now() + ToDuration(options_.setup_limit_s);
  // A worker that dies at once is found by poll().
  (void)WriteMessage((*process)->fd(), options_.setup);
  processes_.push_back(*std::move(process));
  return {};
}

void Pool::Assign(Process* process) {
  std::optional<Job> job = Next(/*fresh=*/!process->jobs.empty());
  if (!job) return;
  job->deadline = JobDeadline(*job);
  const int64_t id = next_id_++;
  // As above: a failed write shows as the end of the stream.
  (void)WriteMessage(process->fd(), {{"id", id}, {"job", job->message}});
  process->jobs.emplace(id, *std::move(job));
}

// One job at a time to whoever holds the fewest, so that all have about as many.
void Pool::AssignAll() {
  while (true) {
    Process* emptiest = nullptr;
    for (const auto& process : processes_) {
      if (!process->Takes(options_.slots)) continue;
      if (emptiest == nullptr || process->jobs.size() < emptiest->jobs.size()) {
        emptiest = process.get();
      }
    }
    if (emptiest == nullptr) return;
    const size_t held = emptiest->jobs.size();
    Assign(emptiest);
    if (emptiest->jobs.size() == held) return;
  }
}

Status Pool::Handle(Process* process, const Message& message) {
  const std::string type = message.value("type", "");
  if (type == "failed") return StatusFrom(message);
  if (type == "ready") {
    process->ready = true;
    AssignAll();
    return {};
  }
  const auto held = process->jobs.find(message.value("id", int64_t{-1}));
  if (held == process->jobs.end()) return InternalError("a worker answered without a job");
  if (type == "progress") {
    held->second.deadline = JobDeadline(held->second);
    return client_->OnProgress(held->second.message, message.at("body"));
  }
  if (type != "done") return InternalError(fmt::format("unknown message '{}'", type));
  const Job job = std::move(held->second);
  process->jobs.erase(held);
  if (Status status = client_->OnDone(job.message, message.at("body")); !status.ok()) {
    return status;
  }
  AssignAll();
  return {};
}

Status Pool::Lose(Process* process, const std::string& why) {
  if (!process->ready) {
    if (++setup_deaths_ > 2) return InternalError("workers die while they are set up: " + why);
    return {};
  }
  for (auto& [id, job] : process->jobs) {
    if (++job.attempts <= options_.retries) {
      retry_.push_back(std::move(job));
    } else if (Status status = client_->OnLost(job.message, why); !status.ok()) {
      return status;
    }
  }
  process->jobs.clear();
  return {};
}

Status Pool::HandlePoll(Process* process) {
  const bool open = process->buffer.Fill(process->fd());
  while (true) {
    Result<std::optional<Message>> message = process->buffer.Take();
    if (!message.ok()) return message.status();
    if (!message->has_value()) break;
    if (Status status = Handle(process, **message); !status.ok()) return status;
  }
  if (open) return {};
  const std::string why = process->Reap();
  Status status = Lose(process, why);
  std::erase_if(processes_, [process](const auto& p) { return p.get() == process; });
  return status;
}

// One round: hand out jobs to who is ready, start a worker where work waits and nobody is idle,
// wait for a message or a tick, take what came, and kill who is past its deadline. A job whose
// worker died goes to the front of the queue once (Lose()); time in which this process stood still
// counts against nobody.
Status Pool::Run() {
  std::optional<Job> first = Next(/*fresh=*/false);
  if (!first) return {};
  retry_.push_front(*std::move(first));
  while (true) {
    if (options_.cancel != nullptr && options_.cancel->load()) {
      return {StatusCode::kCancelled, "interrupted"};
    }
    // Done when nothing runs and nothing waits.
    const bool waiting = !retry_.empty() || !exhausted_;
    bool busy = false;
    int idle = 0;
    for (const auto& process : processes_) {
      busy = busy || !process->jobs.empty();
      idle += process->ready && process->jobs.empty() ? 1 : 0;
    }
    if (!busy && !waiting) break;
    if (!retry_.empty()) AssignAll();
    while (waiting && idle == 0 && static_cast<int>(processes_.size()) < options_.workers) {
      if (Status status = StartWorker(); !status.ok()) return status;
    }

    std::vector<pollfd> polls;
    for (const auto& process : processes_) polls.push_back({process->fd(), POLLIN, 0});
    const int ready = poll(polls.data(), polls.size(), kTick.count());
    if (ready < 0 && errno != EINTR) {
      return InternalError(fmt::format("poll: {}", std::strerror(errno)));
    }
    client_->OnTick();
    if (ready > 0) {
      // Handling one may remove it from processes_.
      std::vector<Process*> readable;
      for (size_t i = 0; i < polls.size(); ++i) {
        if (polls[i].revents != 0) readable.push_back(processes_[i].get());
      }
      for (Process* process : readable) {
        if (Status status = HandlePoll(process); !status.ok()) return status;
      }
    }
    const SteadyClock::time_point now = SteadyClock::now();
    LeaveOutPause(now);
    for (size_t i = 0; i < processes_.size();) {
      Process* process = processes_[i].get();
      bool late = !process->ready && now >= process->deadline;
      for (const auto& [id, job] : process->jobs) late = late || now >= job.deadline;
      if (!late) {
        ++i;
        continue;
      }
      process->Kill();
      process->Reap();
      const std::string why =
          fmt::format("its worker hung for more than {:g} s and was killed",
                      process->ready ? options_.job_limit_s : options_.setup_limit_s);
      Status status = Lose(process, why);
      processes_.erase(processes_.begin() + static_cast<ptrdiff_t>(i));
      if (!status.ok()) return status;
    }
  }
  for (const auto& process : processes_) {
    // One still in its set-up has nothing to do any more: the destructor kills it.
    if (process->ready) process->Finish();
  }
  return {};
}

}  // namespace

Status RunPool(const WorkerCommand& command, const PoolOptions& options, PoolClient* client) {
  Pool pool(command, options, client);
  return pool.Run();
}

}  // namespace kvla

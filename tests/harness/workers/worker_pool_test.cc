// SPDX-License-Identifier: Apache-2.0
// Worker processes that answer, die, hang and talk nonsense.
#include "harness/workers/worker_pool.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>

#include <chrono>
#include <set>
#include <thread>

#include "harness/workers/worker.h"
#include "harness/workers/worker_frames.h"
#include "tests/harness/test_worker.h"

namespace kvla {
namespace {

class Jobs : public PoolClient {
 public:
  explicit Jobs(std::vector<Message> jobs) : jobs_(std::move(jobs)) {}
  std::optional<Message> NextJob() override {
    if (next_ == jobs_.size()) return std::nullopt;
    return jobs_[next_++];
  }
  Status OnProgress(const Message&, const Message& body) override {
    ++progress;
    working = body.value("pid", 0);
    return {};
  }
  Status OnDone(const Message& job, const Message& body) override {
    EXPECT_EQ(body.at("echo"), job);
    done.insert(job.value("i", 0));
    pids.insert(body.at("pid").get<pid_t>());
    cores = body.value("cores", 0);
    return on_done;
  }
  Status OnLost(const Message& job, const std::string& why) override {
    lost.push_back({job.value("i", 0), why});
    return {};
  }
  void OnTick() override {
    if (working > 0 && stop_for_s > 0) {
      // As if the machine were paused: neither the worker nor this thread goes on.
      kill(working, SIGSTOP);
      std::this_thread::sleep_for(std::chrono::duration<double>(stop_for_s));
      kill(working, SIGCONT);
      stop_for_s = 0;
    }
    if (cancel_after > 0 && static_cast<int>(done.size()) >= cancel_after) cancel = true;
  }

  void OnPause(double seconds) override { paused_s += seconds; }

  std::multiset<int> done;
  std::set<pid_t> pids;
  std::vector<std::pair<int, std::string>> lost;
  int progress = 0;
  int cores = 0;      // that the last worker may use
  pid_t working = 0;  // the worker that said last who it is
  double stop_for_s = 0, paused_s = 0;
  Status on_done;
  int cancel_after = 0;
  std::atomic<bool> cancel = false;

 private:
  std::vector<Message> jobs_;
  size_t next_ = 0;
};

Message Job(const std::string& what, int i) { return {{"do", what}, {"i", i}}; }

PoolOptions Options(int workers) {
  PoolOptions options;
  options.workers = workers;
  options.setup = {{"kind", "test"}};
  return options;
}

// None of the processes is left, not even as a zombie.
void ExpectGone(const std::set<pid_t>& pids) {
  EXPECT_FALSE(pids.empty());
  for (const pid_t pid : pids) EXPECT_NE(kill(pid, 0), 0) << pid;
}

TEST(WorkerPoolTest, EveryJobIsDoneOnceByAllWorkers) {
  std::vector<Message> list;
  std::multiset<int> all;
  for (int i = 0; i < 40; ++i) {
    list.push_back(Job("echo", i));
    all.insert(i);
  }
  Jobs jobs(list);
  ASSERT_TRUE(RunPool(TestWorker("obey"), Options(3), &jobs).ok());
  EXPECT_EQ(jobs.done, all);
  EXPECT_TRUE(jobs.lost.empty());
  EXPECT_LE(jobs.pids.size(), 3u);
  ExpectGone(jobs.pids);
}

TEST(WorkerPoolTest, NoJobsStartNoWorker) {
  Jobs jobs({});
  EXPECT_TRUE(RunPool({{"/no/such/program"}, {}}, Options(1), &jobs).ok());
}

TEST(WorkerPoolTest, AJobWhoseWorkerDiesOnceIsDoneByANewOne) {
  ScratchDir scratch;
  Message once = Job("die once", 1);
  once["marker"] = (scratch / "marker").string();
  Jobs jobs({Job("echo", 0), once, Job("echo", 2)});
  ASSERT_TRUE(RunPool(TestWorker("obey", scratch / "log"), Options(1), &jobs).ok());
  EXPECT_EQ(jobs.done, (std::multiset<int>{0, 1, 2}));
  EXPECT_TRUE(jobs.lost.empty());
  EXPECT_EQ(JobsTaken(scratch / "log"), 4);
  EXPECT_EQ(jobs.pids.size(), 2u);
}

TEST(WorkerPoolTest, AJobThatKillsItsWorkersIsTriedTwiceThenLost) {
  for (const auto& [what, why] :
       {std::pair<std::string, std::string>{"die", "signal 9"}, {"exit", "exited with status 7"}}) {
    ScratchDir scratch;
    Jobs jobs({Job("echo", 0), Job(what, 1), Job("echo", 2)});
    ASSERT_TRUE(RunPool(TestWorker("obey", scratch / "log"), Options(1), &jobs).ok());
    EXPECT_EQ(jobs.done, (std::multiset<int>{0, 2}));
    ASSERT_EQ(jobs.lost.size(), 1u);
    EXPECT_EQ(jobs.lost[0].first, 1);
    EXPECT_NE(jobs.lost[0].second.find(why), std::string::npos) << jobs.lost[0].second;
    EXPECT_EQ(JobsTaken(scratch / "log"), 4);
  }
}

TEST(WorkerPoolTest, AWorkerThatHangsIsKilledAtTheLimit) {
  for (const std::string what : {"hang", "half an answer"}) {
    PoolOptions options = Options(2);
    options.job_limit_s = 0.5;
    Jobs jobs({Job(what, 0), Job("echo", 1)});
    ASSERT_TRUE(RunPool(TestWorker("obey"), options, &jobs).ok());
    EXPECT_EQ(jobs.done, (std::multiset<int>{1}));
    ASSERT_EQ(jobs.lost.size(), 1u);
    EXPECT_NE(jobs.lost[0].second.find("hung"), std::string::npos) << jobs.lost[0].second;
    ExpectGone(jobs.pids);
  }
}

// One that was stopped before it read a set-up larger than the socket's buffer.
TEST(WorkerPoolTest, AWorkerThatDoesNotReadDoesNotStopTheParent) {
  PoolOptions options = Options(1);
  options.setup["ballast"] = std::string(8 << 20, 'x');
  options.send_limit_s = 0.05;
  options.setup_limit_s = 0.1;
  Jobs jobs(std::vector<Message>{Job("echo", 0)});
  const Status status = RunPool(TestWorker("deaf"), options, &jobs);
  EXPECT_NE(status.message().find("hung"), std::string::npos) << status.message();
}

TEST(WorkerPoolTest, ProgressRestartsTheLimit) {
  PoolOptions options = Options(1);
  options.job_limit_s = 0.5;  // the job takes 0.8 s
  Jobs jobs(std::vector<Message>{Job("slow with progress", 0)});
  ASSERT_TRUE(RunPool(TestWorker("obey"), options, &jobs).ok());
  EXPECT_EQ(jobs.done.size(), 1u);
  EXPECT_EQ(jobs.progress, 8);
}

TEST(WorkerPoolTest, TimeInWhichTheParentIsStoppedCountsForNoLimit) {
  PoolOptions options = Options(1);
  options.job_limit_s = 2;
  options.retries = 0;
  Jobs jobs(std::vector<Message>{Job("say who", 0)});
  jobs.stop_for_s = 3;
  ASSERT_TRUE(RunPool(TestWorker("obey"), options, &jobs).ok());
  EXPECT_EQ(jobs.stop_for_s, 0) << "it was not stopped";
  EXPECT_TRUE(jobs.lost.empty());
  EXPECT_EQ(jobs.done.size(), 1u);
  EXPECT_GT(jobs.paused_s, 2);
}

TEST(WorkerPoolTest, AWorkerIsTiedToTheCoreThatItsPoolHas) {
  cpu_set_t allowed;
  ASSERT_EQ(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
  int first = 0;
  while (!CPU_ISSET(first, &allowed)) ++first;
  for (const bool tied : {true, false}) {
    PoolOptions options = Options(1);
    if (tied) options.core = first;
    Jobs jobs(std::vector<Message>{Job("cores", 0)});
    ASSERT_TRUE(RunPool(TestWorker("obey"), options, &jobs).ok());
    EXPECT_EQ(jobs.cores, tied ? 1 : CPU_COUNT(&allowed));
  }
}

TEST(WorkerPoolTest, AnErrorOfAWorkerEndsThePool) {
  Jobs jobs({Job("fail", 0), Job("echo", 1)});
  const Status status = RunPool(TestWorker("obey"), Options(1), &jobs);
  EXPECT_EQ(status.code(), StatusCode::kBadInput);
  EXPECT_EQ(status.message(), "the job is bad");

  Jobs refused(std::vector<Message>{Job("echo", 0)});
  EXPECT_EQ(RunPool(TestWorker("refuse"), Options(1), &refused).message(), "the set-up is bad");

  Jobs unwanted({Job("echo", 0), Job("echo", 1)});
  unwanted.on_done = IoError("no room");
  EXPECT_EQ(RunPool(TestWorker("obey"), Options(1), &unwanted).message(), "no room");
  ExpectGone(unwanted.pids);
}

TEST(WorkerPoolTest, NonsenseFromAWorkerIsAnError) {
  Jobs jobs(std::vector<Message>{Job("no CBOR", 0)});
  EXPECT_EQ(RunPool(TestWorker("obey"), Options(1), &jobs).code(), StatusCode::kInternal);
}

TEST(WorkerPoolTest, TwoWorkersMayDieWhileTheyAreSetUp) {
  const ScratchDir scratch;
  Jobs jobs(std::vector<Message>{Job("echo", 0)});
  const Status status =
      RunPool(TestWorker("die twice in set-up", scratch / "log"), Options(1), &jobs);
  EXPECT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(jobs.done.size(), 1u);
  EXPECT_TRUE(jobs.lost.empty());
}

TEST(WorkerPoolTest, WorkersThatNeverGetReadyEndThePool) {
  for (const WorkerCommand& command :
       {TestWorker("die in set-up"), WorkerCommand{{"/bin/false"}, {}}}) {
    Jobs jobs(std::vector<Message>{Job("echo", 0)});
    const Status status = RunPool(command, Options(2), &jobs);
    EXPECT_EQ(status.code(), StatusCode::kInternal);
    EXPECT_NE(status.message().find("set up"), std::string::npos) << status.message();
    EXPECT_TRUE(jobs.done.empty());
  }
  PoolOptions options = Options(1);
  options.setup_limit_s = 0.2;
  Jobs hung(std::vector<Message>{Job("echo", 0)});
  EXPECT_NE(RunPool(TestWorker("hang in set-up"), options, &hung).message().find("hung"),
            std::string::npos);
  Jobs missing(std::vector<Message>{Job("echo", 0)});
  const Status status = RunPool({{"/no/such/program"}, {}}, Options(1), &missing);
  EXPECT_EQ(status.code(), StatusCode::kInternal);
  EXPECT_NE(status.message().find("/no/such/program"), std::string::npos) << status.message();
}

TEST(WorkerPoolTest, CancellingKillsWhatRuns) {
  PoolOptions options = Options(2);
  Jobs jobs({Job("echo", 0), Job("hang", 1), Job("hang", 2)});
  jobs.cancel_after = 1;
  options.cancel = &jobs.cancel;
  EXPECT_EQ(RunPool(TestWorker("obey"), options, &jobs).code(), StatusCode::kCancelled);
  ExpectGone(jobs.pids);
}

class MessageTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fd_), 0); }
  void TearDown() override {
    Close(0);
    Close(1);
  }
  void Close(int end) {
    if (fd_[end] >= 0) close(fd_[end]);
    fd_[end] = -1;
  }
  void Send(const std::string& bytes) {
    ASSERT_EQ(send(fd_[0], bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
  }

  int fd_[2] = {-1, -1};
};

TEST_F(MessageTest, RoundTripKeepsTypes) {
  const Message message = {{"text", "\u00e4"},
                           {"number", 0.1},
                           {"big", int64_t{1} << 62},
                           {"list", {1, nullptr, true}},
                           {"bytes", Message::binary({0, 255, 3})}};
  ASSERT_TRUE(WriteMessage(fd_[0], message).ok());
  ASSERT_TRUE(WriteMessage(fd_[0], Message::object()).ok());
  const Result<Message> read = ReadMessage(fd_[1]);
  ASSERT_TRUE(read.ok()) << read.status().message();
  EXPECT_EQ(*read, message);
  const Result<Message> second = ReadMessage(fd_[1]);
  ASSERT_TRUE(second.ok());
  EXPECT_EQ(*second, Message::object());
}

TEST_F(MessageTest, ALongOneCrossesASmallSocket) {
  const Message message = {{"long", std::string(5'000'000, 'x')}};
  std::thread writer([&] { EXPECT_TRUE(WriteMessage(fd_[0], message).ok()); });
  const Result<Message> read = ReadMessage(fd_[1]);
  writer.join();
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(*read, message);
}

TEST_F(MessageTest, TheEndBetweenAndWithinMessages) {
  Send(std::string("\x05\0\0\0ab", 6));
  Close(0);
  EXPECT_EQ(ReadMessage(fd_[1]).status().code(), StatusCode::kIo);
  EXPECT_EQ(ReadMessage(fd_[1]).status().code(), StatusCode::kCancelled);
  // Writing to nobody is an error, not a signal.
  EXPECT_EQ(WriteMessage(fd_[1], {{"a", 1}}).code(), StatusCode::kIo);
}

TEST_F(MessageTest, WrongLengthAndWrongBytes) {
  Send("\xff\xff\xff\xff");
  EXPECT_EQ(ReadMessage(fd_[1]).status().code(), StatusCode::kInternal);
  Send(std::string("\x01\0\0\0\xff", 5));
  EXPECT_EQ(ReadMessage(fd_[1]).status().code(), StatusCode::kInternal);
}

TEST_F(MessageTest, TheBufferTakesPiecesAndNeverWaits) {
  MessageBuffer buffer;
  EXPECT_TRUE(buffer.Fill(fd_[1]));
  const std::string bytes("\x04\0\0\0\x83\x01\x02\x03\x01\0\0\0\x07", 13);
  for (size_t i = 0; i < bytes.size(); ++i) {
    Result<std::optional<Message>> none = buffer.Take();
    ASSERT_TRUE(none.ok());
    EXPECT_FALSE(none->has_value()) << i;
    Send(bytes.substr(i, 1));
    EXPECT_TRUE(buffer.Fill(fd_[1]));
    if (i == 7) {
      Result<std::optional<Message>> first = buffer.Take();
      ASSERT_TRUE(first.ok() && first->has_value());
      EXPECT_EQ(**first, (Message{1, 2, 3}));
    }
  }
  Result<std::optional<Message>> second = buffer.Take();
  ASSERT_TRUE(second.ok() && second->has_value());
  EXPECT_EQ(**second, Message(7));
  Close(0);
  EXPECT_FALSE(buffer.Fill(fd_[1]));
}

TEST_F(MessageTest, StatusSurvivesTheTrip) {
  for (const Status& status : {BadInput("bad"), IoError("io"), InternalError("internal")}) {
    const Status back = StatusFrom(StatusMessage(status));
    EXPECT_EQ(back.code(), status.code());
    EXPECT_EQ(back.message(), status.message());
  }
}

TEST_F(MessageTest, AWorkerServesUntilItsParentLeaves) {
  int jobs = 0;
  std::thread worker([&] {
    EXPECT_EQ(ServeWorker(
                  fd_[1],
                  [&](const Message& setup) -> Result<WorkerTask> {
                    EXPECT_EQ(setup.at("a"), 1);
                    return WorkerTask(DoJob([&](const Message& job, const SendProgress& progress) {
                      ++jobs;
                      EXPECT_TRUE(progress({{"half", true}}).ok());
                      return Result<Message>(Message{{"twice", job.at("x").get<int>() * 2}});
                    }));
                  }),
              0);
  });
  ASSERT_TRUE(WriteMessage(fd_[0], {{"a", 1}}).ok());
  EXPECT_EQ(ReadMessage(fd_[0])->at("type"), "ready");
  for (const int x : {3, 4}) {
    ASSERT_TRUE(WriteMessage(fd_[0], {{"id", 10 + x}, {"job", {{"x", x}}}}).ok());
    EXPECT_EQ(ReadMessage(fd_[0])->at("type"), "progress");
    const Message done = *ReadMessage(fd_[0]);
    EXPECT_EQ(done.at("type"), "done");
    EXPECT_EQ(done.at("id"), 10 + x);
    EXPECT_EQ(done.at("body").at("twice"), 2 * x);
  }
  Close(0);
  worker.join();
  EXPECT_EQ(jobs, 2);
}

// Holds jobs {"turns": n}, each for so many turns.
class Turns : public JobStepper {
 public:
  explicit Turns(size_t* most) : most_(most) {}
  Status Begin(int64_t id, const Message& job) override {
    if (job.contains("bad")) return BadInput("no such job");
    held_.emplace_back(id, job.at("turns").get<int>());
    *most_ = std::max(*most_, held_.size());
    return {};
  }
  Result<std::vector<Finished>> Step() override {
    std::vector<Finished> finished;
    for (auto& [id, turns] : held_) {
      if (--turns == 0) finished.push_back({id, {{"was", id}}});
    }
    std::erase_if(held_, [](const auto& held) { return held.second == 0; });
    return finished;
  }

 private:
  size_t* most_;
  std::vector<std::pair<int64_t, int>> held_;
};

TEST_F(MessageTest, AWorkerTakesTurnsAtSeveralJobs) {
  size_t most = 0;
  std::thread worker([&] {
    EXPECT_EQ(ServeWorker(fd_[1],
                          [&](const Message&) -> Result<WorkerTask> {
                            return WorkerTask(std::make_unique<Turns>(&most));
                          }),
              0);
  });
  ASSERT_TRUE(WriteMessage(fd_[0], Message::object()).ok());
  EXPECT_EQ(ReadMessage(fd_[0])->at("type"), "ready");
  // A long one, and a short one that comes later and ends sooner.
  ASSERT_TRUE(WriteMessage(fd_[0], {{"id", 1}, {"job", {{"turns", 100'000'000}}}}).ok());
  ASSERT_TRUE(WriteMessage(fd_[0], {{"id", 2}, {"job", {{"turns", 3}}}}).ok());
  EXPECT_EQ(ReadMessage(fd_[0])->at("id"), 2);
  ASSERT_TRUE(WriteMessage(fd_[0], {{"id", 3}, {"job", {{"bad", true}}}}).ok());
  EXPECT_EQ(ReadMessage(fd_[0])->at("type"), "failed");
  worker.join();
  EXPECT_EQ(most, 2u);
}

}  // namespace
}  // namespace kvla

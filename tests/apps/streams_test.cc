// SPDX-License-Identifier: Apache-2.0
// Streams that are closed, full, hung up or narrow; from outside.
#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <sys/ioctl.h>

#include <csignal>
#include <cstdlib>

#include "tests/apps/eval_fixture.h"

namespace kvla {
namespace {

constexpr char kFull[] = "kvla: cannot write to stdout: No space left on device\n";

// A descriptor that is closed in programs that are not given it.
class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) { fcntl(fd_, F_SETFD, FD_CLOEXEC); }
  ~Fd() { Close(); }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  int get() const { return fd_; }
  void Close() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }

 private:
  int fd_;
};

// A terminal of 50 columns; the program has `program`, a person reads `person`.
class Terminal {
 public:
  static constexpr int kColumns = 50;
  Terminal() : Terminal(Open()) {}
  Fd program, person;

 private:
  struct Ends {
    int person = -1, program = -1;
  };
  explicit Terminal(Ends ends) : program(ends.program), person(ends.person) {}
  static Ends Open() {
    Ends ends;
    winsize size{24, kColumns, 0, 0};
    EXPECT_EQ(openpty(&ends.person, &ends.program, nullptr, nullptr, &size), 0);
    return ends;
  }
};

class StreamsTest : public EvalTest {
 protected:
  Fd full_{open("/dev/full", O_WRONLY)};
};

TEST_F(StreamsTest, ARunNeedsNoStderr) {
  const auto run = [&](const std::string& out, int err) {
    Program program(Eval(out, 1, 1), {.err = err});
    EXPECT_EQ(program.Wait().status, 0) << out;
    EXPECT_EQ(Done(out), kArms) << out;
  };
  run("full", full_.get());
  run("closed", Program::Streams::kClosed);
  // What cannot be said does not change what an exit status says.
  for (const int err : {full_.get(), Program::Streams::kClosed}) {
    EXPECT_EQ(Program({"report", (scratch_ / "none").string()}, {.err = err}).Wait().status, 2);
    EXPECT_EQ(Program({"evil"}, {.err = err}).Wait().status, 2);
  }
}

TEST_F(StreamsTest, ARunOutlivesItsTerminal) {
  constexpr int kEpisodes = 3;
  Terminal terminal;
  Program program(Eval("run", kEpisodes, 1), {.err = terminal.program.get()});
  terminal.program.Close();
  AwaitEpisodes(program, "run", 1);
  EXPECT_FALSE(program.Ended());
  terminal.person.Close();
  EXPECT_EQ(program.Wait().status, 0);
  EXPECT_EQ(Done("run"), kArms * kEpisodes);
}

TEST_F(StreamsTest, WhatCannotBePrintedIsAnErrorShortOrLong) {
  ASSERT_EQ(Kvla(Eval("run", 1, 1)).status, 0);
  const std::string run = (scratch_ / "run").string();
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{"--help"},
                                             {"--version"},
                                             {"report", "--help"},
                                             {"report", run},
                                             {"report", run, "--csv"},
                                             {"report", run, "--json", "--episodes"},
                                             {"list", "caches", "--json"},
                                             {"doctor"},
                                             {"compare", run}}) {
    const Output output = Program(arguments, {.out = full_.get()}).Wait();
    EXPECT_EQ(output.status, 2) << arguments.front();
    EXPECT_EQ(output.err, kFull) << arguments.front();
    const Output closed = Program(arguments, {.out = Program::Streams::kClosed}).Wait();
    EXPECT_EQ(closed.status, 2) << arguments.front();
    EXPECT_EQ(closed.err, "kvla: cannot write to stdout: Bad file descriptor\n");
  }
}

TEST_F(StreamsTest, ARunNeedsNoStdoutButSaysThatItsTableIsLost) {
  const Output output = Program(Eval("run", 1, 1), {.out = full_.get()}).Wait();
  EXPECT_EQ(output.status, 2);
  EXPECT_NE(output.err.find(kFull), std::string::npos) << output.err;
  EXPECT_EQ(Done("run"), kArms);
}

TEST_F(StreamsTest, AReaderThatLeftEndsAReportQuietly) {
  ASSERT_EQ(Kvla(Eval("run", 1, 1)).status, 0);
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  Fd reader(ends[0]), writer(ends[1]);
  reader.Close();
  const Output output = Program({"report", (scratch_ / "run").string(), "--json", "--episodes"},
                                {.out = writer.get()})
                            .Wait();
  EXPECT_EQ(output.status, 2);
  EXPECT_EQ(output.err, "");
  // And no run.
  EXPECT_EQ(Program(Eval("more", 1, 1), {.out = writer.get(), .err = writer.get()}).Wait().status,
            2);
  EXPECT_EQ(Done("more"), kArms);
}

// What `kvla eval` draws on a terminal.
std::string Drawn(const std::vector<std::string>& arguments) {
  Terminal terminal;
  Program program(arguments, {.err = terminal.program.get()});
  terminal.program.Close();
  std::string drawn;
  while (true) {
    char bytes[4096];
    const ssize_t n = read(terminal.person.get(), bytes, sizeof(bytes));
    if (n <= 0) break;  // the program closed its end
    drawn.append(bytes, static_cast<size_t>(n));
  }
  EXPECT_EQ(program.Wait().status, 0) << drawn;
  return drawn;
}

TEST_F(StreamsTest, ABarIsNoWiderThanItsTerminal) {
  const std::string drawn = Drawn(Eval("bar", 2, 1)), redraw = "\r\033[K";
  size_t bars = 0;
  for (size_t at = drawn.find(redraw); at != std::string::npos; at = drawn.find(redraw, at + 1)) {
    const std::string line = drawn.substr(
        at + redraw.size(), drawn.find_first_of("\r\n", at + redraw.size()) - at - redraw.size());
    EXPECT_LT(line.size(), size_t{Terminal::kColumns}) << line;
    bars += line.starts_with("eval ") ? 1 : 0;
  }
  EXPECT_GT(bars, 2U) << drawn;
}

TEST_F(StreamsTest, ADumbTerminalGetsLines) {
  const char* before = std::getenv("TERM");
  const std::string kept = before != nullptr ? before : "";
  setenv("TERM", "dumb", 1);
  const std::string drawn = Drawn(Eval("dumb", 1, 1));
  if (before != nullptr) {
    setenv("TERM", kept.c_str(), 1);
  } else {
    unsetenv("TERM");
  }
  EXPECT_EQ(drawn.find('\033'), std::string::npos) << drawn;
  EXPECT_NE(drawn.find("eval 2/2 100%"), std::string::npos) << drawn;
}

}  // namespace
}  // namespace kvla

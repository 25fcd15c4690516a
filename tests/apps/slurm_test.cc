// SPDX-License-Identifier: Apache-2.0
// scripts/slurm_array.sh against a real Slurm: one node, started here with its own configuration
// and its own munge. Skipped, and said so, where Debian's slurm-wlm and munge are not installed.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <memory>
#include <random>
#include <thread>

#include "tests/apps/eval_fixture.h"

namespace kvla {
namespace {

namespace fs = std::filesystem;

// What a shell command prints; `status` may be null.
std::string Shell(const std::string& command, int* status = nullptr) {
  std::string out;
  std::FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) return "";
  std::array<char, 4096> buffer;
  while (const size_t n = std::fread(buffer.data(), 1, buffer.size(), pipe)) {
    out.append(buffer.data(), n);
  }
  const int ended = pclose(pipe);
  if (status != nullptr) *status = WIFEXITED(ended) ? WEXITSTATUS(ended) : -1;
  return out;
}

// A program that runs until the end of the test.
class Daemon {
 public:
  Daemon(std::vector<std::string> arguments, const fs::path& log) {
    pid_ = fork();
    if (pid_ != 0) return;
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    const int fd = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(fd, 1);
    dup2(fd, 2);
    setpgid(0, 0);
    execvp(argv[0], argv.data());
    _exit(127);
  }
  ~Daemon() {
    kill(pid_, SIGTERM);
    for (int i = 0; i < 100; ++i) {
      if (waitpid(pid_, nullptr, WNOHANG) == pid_) return;
      usleep(50'000);
    }
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

 private:
  pid_t pid_;
};

// A cluster of this machine alone, on ports of its own.
class Cluster {
 public:
  Cluster() {
    for (const char* folder : {"munge", "state", "spool"}) fs::create_directory(scratch_ / folder);
    fs::permissions(scratch_ / "munge", fs::perms::owner_all);
    std::random_device random;
    std::string key(1024, '\0');
    for (char& c : key) c = static_cast<char>(random());
    WriteText(scratch_ / "munge/key", key);
    fs::permissions(scratch_ / "munge/key", fs::perms::owner_read);
    const std::string munge = (scratch_ / "munge").string();
    const std::string dir = scratch_.path().string();
    const std::string host = Shell("hostname -s | tr -d '\\n'");
    const int port = 20'000 + getpid() % 20'000;
    WriteText(scratch_ / "slurm.conf",
              fmt::format("ClusterName=kvla\nSlurmctldHost={0}(127.0.0.1)\nSlurmUser=root\n"
                          "SlurmdUser=root\nAuthType=auth/munge\nAuthInfo=socket={1}/socket\n"
                          "SlurmctldPort={3}\nSlurmdPort={4}\nStateSaveLocation={2}/state\n"
                          "SlurmdSpoolDir={2}/spool\nSlurmctldPidFile={2}/slurmctld.pid\n"
                          "SlurmdPidFile={2}/slurmd.pid\nProctrackType=proctrack/linuxproc\n"
                          "TaskPlugin=task/none\nSwitchType=switch/none\nMpiDefault=none\n"
                          "SelectType=select/cons_tres\nSelectTypeParameters=CR_CPU\n"
                          "JobAcctGatherType=jobacct_gather/none\nKillWait=1\n"
                          "AccountingStorageType=accounting_storage/none\nReturnToService=2\n"
                          "SchedulerParameters=batch_sched_delay=1,sched_interval=1\n"
                          "NodeName={0} NodeAddr=127.0.0.1 CPUs={5} State=UNKNOWN\n"
                          "PartitionName=kvla Nodes={0} Default=YES State=UP\n",
                          host, munge, dir, port, port + 1, std::thread::hardware_concurrency()));
    setenv("SLURM_CONF", (scratch_ / "slurm.conf").c_str(), 1);
    munged_ = std::make_unique<Daemon>(
        std::vector<std::string>{"munged", "--foreground", "--force",
                                 "--key-file=" + munge + "/key", "--socket=" + munge + "/socket",
                                 "--pid-file=" + munge + "/pid", "--log-file=" + munge + "/log",
                                 "--seed-file=" + munge + "/seed"},
        scratch_ / "log");
    for (int i = 0; i < 100 && !fs::exists(scratch_ / "munge/socket"); ++i) usleep(50'000);
    controller_ = std::make_unique<Daemon>(std::vector<std::string>{"slurmctld", "-D", "-c"},
                                           scratch_ / "log");
    node_ =
        std::make_unique<Daemon>(std::vector<std::string>{"slurmd", "-D", "-c"}, scratch_ / "log");
    for (int i = 0; i < 60 && !ready_; ++i) {
      ready_ = Shell("sinfo -h -o %t").starts_with("idle");
      if (!ready_) usleep(500'000);
    }
  }
  ~Cluster() { unsetenv("SLURM_CONF"); }
  bool ready() const { return ready_; }
  std::string Log() const { return ReadText(scratch_ / "log"); }

 private:
  ScratchDir scratch_;
  std::unique_ptr<Daemon> munged_, controller_, node_;
  bool ready_ = false;
};

bool Installed() {
  int status = 0;
  Shell("command -v slurmctld slurmd munged sbatch", &status);
  return status == 0 && geteuid() == 0;
}

class SlurmTest : public EvalTest {};

// A whole run here, the same as an array on a cluster of one machine, one element of which is
// killed in its middle and submitted again: the merged table is the same.
TEST_F(SlurmTest, AnArrayWithAKilledElementGivesTheSameTable) {
  if (!Installed()) {
    GTEST_SKIP() << "SKIPPED: no Slurm here (apt install slurm-wlm munge, and run as root)";
  }
  constexpr int kEpisodes = 18;
  const std::vector<std::string> eval = Eval("whole", kEpisodes, 2);
  ASSERT_EQ(Kvla(eval).status, 0);
  Cluster cluster;
  ASSERT_TRUE(cluster.ready()) << cluster.Log();

  // A config that is bad is refused before anything is submitted.
  const std::string script =
      fmt::format("KVLA={} {}/scripts/slurm_array.sh {}", KVLA_PROGRAM, KVLA_ASSET_ROOT, eval[1]);
  int status = 0;
  const std::string refused =
      Shell(fmt::format("{} {} 3 --set sede=1", script, (scratch_ / "bad").string()), &status);
  EXPECT_EQ(status, 2) << refused;
  EXPECT_NE(refused.find("did you mean 'seed'?"), std::string::npos) << refused;
  EXPECT_FALSE(fs::exists(scratch_ / "bad/shards"));

  std::string output;
  std::thread driver([&] {
    output =
        Shell(fmt::format("{} {} 3 -- --cpus-per-task=1", script, (scratch_ / "array").string()),
              &status);
  });
  // Killed once it has kept something.
  for (int i = 0; i < 1200 && Done("array/shards/2") == 0; ++i) usleep(50'000);
  const std::string jobs = Shell("squeue -h -r -t RUNNING -o %i");
  const size_t second = jobs.find("_2");
  EXPECT_NE(second, std::string::npos) << jobs;
  if (second != std::string::npos) {
    const size_t begin = jobs.rfind('\n', second);
    Shell("scancel " + jobs.substr(begin == std::string::npos ? 0 : begin + 1,
                                   second + 2 - (begin == std::string::npos ? 0 : begin + 1)));
  }
  driver.join();
  EXPECT_EQ(status, 0) << output << cluster.Log();
  EXPECT_NE(output.find("submission 1: shards 1,2,3 of 3"), std::string::npos) << output;
  EXPECT_NE(output.find("submission 2: shards 2 of 3"), std::string::npos) << output;
  EXPECT_EQ(Report("array"), Report("whole"));
  // The killed element went on; it did not start again.
  const std::string log = ReadText(scratch_ / "array/shards/2.log");
  EXPECT_NE(log.find("12 episodes, 0 there already"), std::string::npos) << log;
  EXPECT_EQ(log.rfind("12 episodes, 0 there already"), log.find("12 episodes, 0 there already"))
      << log;
  // All is done: the same command only merges.
  output = Shell(fmt::format("{} {} 3", script, (scratch_ / "array").string()), &status);
  EXPECT_EQ(status, 0) << output;
  EXPECT_EQ(output.find("submission"), std::string::npos) << output;
  // The shards of other settings, or of another number of them, are not taken for those asked for.
  for (const auto& [other, said] : std::vector<std::pair<std::string, std::string>>{
           {"4", "shard is '1/3' in the run, '1/4' now"}, {"3 --set seed=1", "seed is '0'"}}) {
    fs::remove(scratch_ / "array/run.db");
    output = Shell(fmt::format("{} {} {}", script, (scratch_ / "array").string(), other), &status);
    EXPECT_EQ(status, 2) << output;
    EXPECT_NE(output.find(said), std::string::npos) << output;
  }
  // What Slurm itself refuses is not tried again.
  output = Shell(fmt::format("{} {} 2 -- --partition=none", script, (scratch_ / "none").string()),
                 &status);
  EXPECT_EQ(status, 2) << output;
  EXPECT_NE(output.find("Slurm did not take the job"), std::string::npos) << output;
  EXPECT_EQ(output.find("submission 2"), std::string::npos) << output;
}

}  // namespace
}  // namespace kvla

// SPDX-License-Identifier: Apache-2.0
#include "base/machine.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>

#include "tests/scratch_dir.h"

namespace kvla {
namespace {

class MachineTest : public testing::Test {
 protected:
  void Write(const std::string& path, const std::string& text) {
    std::filesystem::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }

  const ScratchDir scratch_;
  const std::filesystem::path root_ = scratch_.path();
};

TEST_F(MachineTest, ReadsWhatTheKernelSays) {
  Write("etc/os-release", "NAME=\"X\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n");
  Write("proc/cpuinfo",
        "processor\t: 0\nmodel name\t: A CPU @ 2.0GHz\nflags\t\t: sse fma avx2 amx_bf16\n\n"
        "processor\t: 1\nmodel name\t: A CPU @ 2.0GHz\nflags\t\t: sse fma avx2 amx_bf16\n");
  Write("proc/meminfo", "MemTotal:       1024 kB\nMemFree: 3 kB\n");
  Write("proc/driver/nvidia/version",
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.65.06  Sun Jul 27 2025\n");
  Write("proc/driver/nvidia/gpus/0000:01:00.0/information", "Model: \t\t NVIDIA H200\nIRQ: 1\n");
  const MachineFacts facts = ReadMachineFacts(root_);
  EXPECT_EQ(facts.os, "Debian GNU/Linux 12 (bookworm)");
  EXPECT_EQ(facts.CpuLine(), "A CPU @ 2.0GHz, 2 cores: avx2 fma amx_bf16");
  EXPECT_EQ(facts.memory_bytes, 1024 * 1024);
  EXPECT_EQ(facts.nvidia_driver, "580.65.06");
  EXPECT_EQ(facts.gpus, std::vector<std::string>{"NVIDIA H200"});
}

TEST_F(MachineTest, WhatIsNotThereStaysEmpty) {
  const MachineFacts facts = ReadMachineFacts(root_);
  EXPECT_EQ(facts.os, "");
  EXPECT_EQ(facts.cores, 0);
  EXPECT_TRUE(facts.cpu_features.empty());
  EXPECT_EQ(facts.memory_bytes, 0);
  EXPECT_EQ(facts.nvidia_driver, "");
  EXPECT_TRUE(facts.gpus.empty());
}

TEST_F(MachineTest, ThisMachineHasWhatTheBuildAsksFor) {
  const MachineFacts facts = ReadMachineFacts();
  EXPECT_GT(facts.cores, 0);
  EXPECT_EQ(std::count(facts.cpu_features.begin(), facts.cpu_features.end(), "avx2"), 1);
}

}  // namespace
}  // namespace kvla

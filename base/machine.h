// SPDX-License-Identifier: Apache-2.0
// What this machine is: printed by `kvla doctor` and kept with every run.
#ifndef KVLA_BASE_MACHINE_H_
#define KVLA_BASE_MACHINE_H_

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace kvla {

struct MachineFacts {
  std::string os;                         // such as "Debian GNU/Linux 12 (bookworm)"
  std::string cpu_model;                  // as the kernel names it
  int cores = 0;                          // logical ones that the kernel lists
  std::vector<std::string> cpu_features;  // those of kCpuFeatures that the CPU has, in that order
  int64_t memory_bytes = 0;
  std::string nvidia_driver;      // version; empty without the driver
  std::vector<std::string> gpus;  // models that the NVIDIA driver lists

  // One line for a run's record: "MODEL, 2 cores: avx2 fma".
  std::string CpuLine() const;
};

// The instruction sets that decide which kernels LibTorch picks.
inline constexpr const char* kCpuFeatures[] = {"avx2",        "fma",      "avx512f",  "avx512_vnni",
                                               "avx512_bf16", "amx_tile", "amx_bf16", "amx_int8"};

// Reads `root`/proc and `root`/etc. What cannot be read stays empty: never an error.
MachineFacts ReadMachineFacts(const std::filesystem::path& root = "/");

// This process's resident set, now and at its largest, in bytes; 0 where the kernel does not say.
struct MemoryUse {
  int64_t resident_bytes = 0;
  int64_t peak_bytes = 0;
};
MemoryUse ReadMemoryUse();

}  // namespace kvla

#endif  // KVLA_BASE_MACHINE_H_

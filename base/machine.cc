// SPDX-License-Identifier: Apache-2.0
#include "base/machine.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string_view>

#include "base/text.h"

namespace kvla {
namespace {

std::string Trim(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\"");
  if (begin == std::string_view::npos) return "";
  return std::string(text.substr(begin, text.find_last_not_of(" \t\"") - begin + 1));
}

// The value of the first line "key <separator> value".
std::string Lookup(const std::filesystem::path& path, std::string_view key, char separator) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    const size_t at = line.find(separator);
    if (at != std::string::npos && Trim(std::string_view(line).substr(0, at)) == key) {
      return Trim(std::string_view(line).substr(at + 1));
    }
  }
  return "";
}

int CountLines(const std::filesystem::path& path, std::string_view prefix) {
  std::ifstream file(path);
  int count = 0;
  for (std::string line; std::getline(file, line);) count += line.starts_with(prefix) ? 1 : 0;
  return count;
}

// "NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.65.06  Sun ..." -> "580.65.06".
std::string DriverVersion(const std::filesystem::path& path) {
  std::istringstream words(Lookup(path, "NVRM version", ':'));
  for (std::string word; words >> word;) {
    const bool numeric = word.find_first_not_of("0123456789.") == std::string::npos;
    if (numeric && word.find('.') != std::string::npos) return word;
  }
  return "";
}

}  // namespace

std::string MachineFacts::CpuLine() const {
  return fmt::format("{}, {} cores: {}", cpu_model, cores, Join(cpu_features, " "));
}

MemoryUse ReadMemoryUse() {
  const auto bytes = [](const char* key) {
    int64_t kilobytes = 0;
    std::istringstream(Lookup("/proc/self/status", key, ':')) >> kilobytes;
    return kilobytes * 1024;
  };
  return {bytes("VmRSS"), bytes("VmHWM")};
}

MachineFacts ReadMachineFacts(const std::filesystem::path& root) {
  MachineFacts facts;
  const std::filesystem::path proc = root / "proc";
  facts.os = Lookup(root / "etc/os-release", "PRETTY_NAME", '=');
  facts.cpu_model = Lookup(proc / "cpuinfo", "model name", ':');
  facts.cores = CountLines(proc / "cpuinfo", "processor");
  std::istringstream flags(Lookup(proc / "cpuinfo", "flags", ':'));
  std::vector<std::string> all;
  for (std::string flag; flags >> flag;) all.push_back(flag);
  for (const char* feature : kCpuFeatures) {
    if (std::find(all.begin(), all.end(), feature) != all.end()) {
      facts.cpu_features.emplace_back(feature);
    }
  }
  int64_t kilobytes = 0;
  if (std::istringstream(Lookup(proc / "meminfo", "MemTotal", ':')) >> kilobytes) {
    facts.memory_bytes = kilobytes * 1024;
  }
  facts.nvidia_driver = DriverVersion(proc / "driver/nvidia/version");
  std::error_code error;
  std::filesystem::directory_iterator gpu(proc / "driver/nvidia/gpus", error), end;
  for (; !error && gpu != end; gpu.increment(error)) {
    const std::string model = Lookup(gpu->path() / "information", "Model", ':');
    if (!model.empty()) facts.gpus.push_back(model);
  }
  std::sort(facts.gpus.begin(), facts.gpus.end());
  return facts;
}

}  // namespace kvla

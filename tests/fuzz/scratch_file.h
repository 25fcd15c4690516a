// SPDX-License-Identifier: Apache-2.0
// Input of a parser that reads files: written anew for every case, in memory where possible.
#ifndef KVLA_TESTS_FUZZ_SCRATCH_FILE_H_
#define KVLA_TESTS_FUZZ_SCRATCH_FILE_H_

#include <stdlib.h>

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <string>

namespace kvla {

// A folder that goes away with the process.
class FuzzFolder {
 public:
  FuzzFolder() {
    std::error_code error;
    const bool memory = std::filesystem::is_directory("/dev/shm", error);
    std::string name = memory ? "/dev/shm/kvla_fuzz_XXXXXX" : "/tmp/kvla_fuzz_XXXXXX";
    path_ = mkdtemp(name.data());
  }
  ~FuzzFolder() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }
  FuzzFolder(const FuzzFolder&) = delete;
  FuzzFolder& operator=(const FuzzFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path Write(const std::string& name, const uint8_t* data, size_t size) const {
    const std::filesystem::path file = path_ / name;
    std::FILE* stream = std::fopen(file.c_str(), "wb");
    if (stream == nullptr || std::fwrite(data, 1, size, stream) != size) abort();
    std::fclose(stream);
    return file;
  }
  // Takes away what a case left beside its file.
  void Clear() const {
    for (const auto& entry : std::filesystem::directory_iterator(path_)) {
      std::filesystem::remove_all(entry.path());
    }
  }

 private:
  std::filesystem::path path_;
};

}  // namespace kvla

#endif  // KVLA_TESTS_FUZZ_SCRATCH_FILE_H_

// SPDX-License-Identifier: Apache-2.0
// The runs below a folder, and how far each has come.
#ifndef KVLA_RESULTS_REPORT_RUN_LIST_H_
#define KVLA_RESULTS_REPORT_RUN_LIST_H_

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace kvla {

struct RunListing {
  std::filesystem::path folder;
  std::string name;     // of its config
  std::string started;  // as the run keeps it
  std::vector<std::string> arms;
  int done = 0, planned = 0, errors = 0;
  std::string writer;   // which process writes to it now, see WriterLock; empty: none
  std::string problem;  // why it cannot be read; then the rest is not known
  int64_t bytes = 0;    // of all files in the folder

  // "running, 12 of 40, by process 7 on HOST ...", "complete", "unfinished, 12 of 40, 1 error",
  // "unreadable: ...".
  std::string State() const;
};

// Every run in `folder` or below it, sorted by path. What cannot be looked into is left out.
std::vector<RunListing> ListRuns(const std::filesystem::path& folder);

std::string FormatRunList(const std::vector<RunListing>& runs);
nlohmann::json RunListJson(const std::vector<RunListing>& runs);

}  // namespace kvla

#endif  // KVLA_RESULTS_REPORT_RUN_LIST_H_

// SPDX-License-Identifier: Apache-2.0
// The trials of `kvla transplant` in a file, one JSON line each, so that a stopped run goes on.
#ifndef KVLA_HARNESS_TRANSPLANT_TRANSPLANT_LOG_H_
#define KVLA_HARNESS_TRANSPLANT_TRANSPLANT_LOG_H_

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/writer_lock.h"
#include "harness/transplant/transplant_config.h"
#include "harness/transplant/transplant_trial.h"

namespace kvla {

class TransplantLog {
 public:
  // Takes over the trials that are there. `path` empty: nothing is read or written. BadInput where
  // the file is none of these, is open in another process, or was made with other settings (there
  // may be more or fewer episodes), of another checkpoint (`checkpoint_hash`) or by another build.
  static Result<TransplantLog> Open(const std::filesystem::path& path,
                                    const TransplantConfig& config,
                                    const std::string& checkpoint_hash);

  bool Has(const std::string& arm, const EpisodeJob& job) const;
  // Written before it returns.
  Status Add(const TransplantTrial& trial);
  const std::vector<TransplantTrial>& trials() const { return trials_; }

 private:
  std::filesystem::path path_;
  std::optional<WriterLock> lock_;  // where there is a path
  std::string text_;                // of the file
  std::vector<TransplantTrial> trials_;
};

}  // namespace kvla

#endif  // KVLA_HARNESS_TRANSPLANT_TRANSPLANT_LOG_H_

// SPDX-License-Identifier: Apache-2.0
// Keeps the episodes of a live session as a run: `kvla view RUN` shows them again, with what the
// person did to them.
#ifndef KVLA_HARNESS_LIVE_LIVE_STORE_H_
#define KVLA_HARNESS_LIVE_LIVE_STORE_H_

#include <filesystem>
#include <memory>
#include <mutex>

#include "base/status.h"
#include "harness/eval/run_config.h"
#include "results/store/run_store.h"
#include "results/trace/trace.h"

namespace kvla {

// Thread-safe: sides share it.
class LiveStore {
 public:
  // A new run in `folder`.
  static Result<std::unique_ptr<LiveStore>> Create(const std::filesystem::path& folder,
                                                   const RunConfig& config);

  // An episode that is there already (it was restarted) or that a person ended is left out.
  Status Write(const EpisodeRecord& record);

 private:
  explicit LiveStore(RunStore store) : store_(std::move(store)) {}

  std::mutex mutex_;
  RunStore store_;
};

}  // namespace kvla

#endif  // KVLA_HARNESS_LIVE_LIVE_STORE_H_

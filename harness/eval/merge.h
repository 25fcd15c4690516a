// SPDX-License-Identifier: Apache-2.0
// `kvla merge`: the parts of a run (`kvla eval --shard`) in one folder.
#ifndef KVLA_HARNESS_EVAL_MERGE_H_
#define KVLA_HARNESS_EVAL_MERGE_H_

#include <filesystem>
#include <string>
#include <vector>

#include "base/status.h"

namespace kvla {

struct MergeSummary {
  int episodes = 0;  // in the merged run now
  int added = 0;     // by this call
  int planned = 0;   // of the whole run
  int errors = 0;    // episodes that ended in error
  // How the machines of the parts differ, on which outcomes and times depend.
  std::vector<std::string> notes;
};

// Adds every episode of `runs` to the run in `out`, which is made if it is not there; an episode
// that is there already is left as it is. What else a part holds (videos) is copied. The result is
// the same run as if it had been made in one piece, and `kvla eval` goes on with it. BadInput,
// before anything is written: no run there, parts of different runs, one episode with two outcomes.
Result<MergeSummary> MergeRuns(const std::filesystem::path& out,
                               const std::vector<std::filesystem::path>& runs);

}  // namespace kvla

#endif  // KVLA_HARNESS_EVAL_MERGE_H_

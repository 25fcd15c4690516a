// SPDX-License-Identifier: Apache-2.0
// The ledger of the evaluation split: what was looked at there, so that seeds cannot be shopped for
// unseen.
#ifndef KVLA_HARNESS_EVAL_LEDGER_H_
#define KVLA_HARNESS_EVAL_LEDGER_H_

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "base/status.h"
#include "harness/eval/run_config.h"
#include "results/store/run_store.h"

namespace kvla {

// Where `kvla eval` keeps it: results/ledger.jsonl of a source tree that can be written, else
// ledger.jsonl beside the run's folder.
std::filesystem::path DefaultLedger(const std::filesystem::path& asset_root,
                                    const std::filesystem::path& run);

// One line of it: when, which run ("run": the same when a run goes on), its seed and episodes, its
// identity, and the outcomes that its file holds now. `finished`: nothing is left to run.
Result<nlohmann::json> LedgerLine(const RunPlan& plan, const RunStore& store, bool finished);

// Appends `line`, whole, whoever else appends at the time. IoError names the file.
Status AppendLedger(const std::filesystem::path& ledger, const nlohmann::json& line);

}  // namespace kvla

#endif  // KVLA_HARNESS_EVAL_LEDGER_H_

// SPDX-License-Identifier: Apache-2.0
// What is said of a gate on demonstrations that it did not learn from. Cue labels are read here and
// nowhere else. Includes torch.
#ifndef KVLA_POLICY_COMPACT_GATE_GATE_REPORT_H_
#define KVLA_POLICY_COMPACT_GATE_GATE_REPORT_H_

#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "policy/compact/gate/counterfactual.h"
#include "tensors/torch.h"

namespace kvla {

// Spearman's, ties at their mean rank; none where either side is all alike or shorter than 3.
// REQUIRES: equal lengths.
std::optional<double> RankCorrelation(std::span<const double> a, std::span<const double> b);

// Of the chunks that saw a cue, the share that is kept, and of the kept ones that saw one: as a
// whole ("all"), by task and cue value ("by_value"), and by thirds of the episodes in the order of
// the first cue's time ("by_onset", from_s and to_s in seconds from the episode's begin).
// `logits`: one entry an episode; `block_seconds`: from one frame block to the next.
nlohmann::json CueReport(std::span<const LabelledChunks> episodes,
                         std::span<const torch::Tensor> logits, double block_seconds);

// The mean over episodes of the rank correlation between logits and LabelledChunks::change:
// "episodes" (those that have both), "rank_correlation" (null where there is none).
nlohmann::json AgreementReport(std::span<const LabelledChunks> episodes,
                               std::span<const torch::Tensor> logits);

// CSV, one row a chunk.
std::string LabelTable(std::span<const LabelledChunks> episodes,
                       std::span<const torch::Tensor> logits);

}  // namespace kvla

#endif  // KVLA_POLICY_COMPACT_GATE_GATE_REPORT_H_

// SPDX-License-Identifier: Apache-2.0
// Whole inferences from what their parts take: what a history costs, and where it begins to. torch.
#ifndef KVLA_HARNESS_BENCH_BACKBONE_REPORT_H_
#define KVLA_HARNESS_BENCH_BACKBONE_REPORT_H_

#include <nlohmann/json.hpp>
#include <string>

#include "harness/bench/backbone_times.h"

namespace kvla {

// The paper's averages over OpenVLA, CogACT and HybridVLA (arXiv:2509.21354).
inline constexpr double kPaperTimeRatio = 1.34;
inline constexpr double kPaperFlopsSaved = 0.246;
inline constexpr double kPaperMemoryRatio = 1.87;

// One backbone:
//   name, parameters, layers, block_tokens, prompt, kv_bytes_per_token (f32)
//   parts: part, rows, times, gflop, ms_median, ms_mean, predicted_ms - each once
//   arms: arm, rho, storage, append_ms, gate_ms, compact_ms - medians, an inference
//   rows: arm, inference, measured, attended, kv_bytes, gflop, attention_ms,
//     predicted_attention_ms, upkeep_ms, upkeep_share, inference_ms_median, inference_ms_mean,
//     predicted_ms, predicted_ratio
//   attention_overtakes: inference, tokens, predicted_inference of the first arm
//   paper: arm, time_from, flops_from, memory_from - inferences
// What does not come within the histories is null. "no history" is an arm whose rows are all alike.
nlohmann::json BackboneJson(const BackboneShape& shape, const BackboneBenchConfig& config,
                            const LayerTimes& layers, const HistoryTimes& history);

// `report`: {"machine", "note", "backbones": [...]}.
std::string BackboneTable(const nlohmann::json& report);
// A panel a backbone: seconds by inferences, a curve an arm, a mark where the paper's ratio of
// times is passed.
std::string BackboneSvg(const nlohmann::json& report);

}  // namespace kvla

#endif  // KVLA_HARNESS_BENCH_BACKBONE_REPORT_H_

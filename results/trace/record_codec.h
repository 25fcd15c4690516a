// SPDX-License-Identifier: Apache-2.0
// Episode records as bytes: between a worker and its parent (CBOR), and in the store (packed).
#ifndef KVLA_RESULTS_TRACE_RECORD_CODEC_H_
#define KVLA_RESULTS_TRACE_RECORD_CODEC_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "results/trace/trace.h"

namespace kvla {

// Images are not carried. Latency is carried as float32, as in the store, so that a record is the
// same whether it went through a pipe or not.
std::vector<uint8_t> RecordToCbor(const EpisodeRecord& record);
Result<EpisodeRecord> RecordFromCbor(std::span<const uint8_t> bytes);

nlohmann::json BeginToJson(const EpisodeBegin& begin);
nlohmann::json EndToJson(const EpisodeEnd& end);
nlohmann::json CommandsToJson(const std::vector<CommandEvent>& commands);
Result<EpisodeBegin> BeginFromJson(const nlohmann::json& json);
Result<EpisodeEnd> EndFromJson(const nlohmann::json& json);
Result<std::vector<CommandEvent>> CommandsFromJson(const nlohmann::json& json);

// Packed, little-endian, integers as differences from the inference or step before. A malformed
// block is BadInput, never a crash.
std::vector<uint8_t> PackInferences(const std::vector<InferenceEvent>& events, TraceLevel level);
Result<std::vector<InferenceEvent>> UnpackInferences(std::span<const uint8_t> bytes);
// kOff leaves every step out, kSummary the states. A state is stored as its bits' difference from
// the one before: what rests costs next to nothing.
std::vector<uint8_t> PackSteps(const std::vector<StepEvent>& events, TraceLevel level);
Result<std::vector<StepEvent>> UnpackSteps(std::span<const uint8_t> bytes);

}  // namespace kvla

#endif  // KVLA_RESULTS_TRACE_RECORD_CODEC_H_

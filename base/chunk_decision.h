// SPDX-License-Identifier: Apache-2.0
// What a cache method decided on a chunk of old tokens, and why: from the cache to the trace, the
// run's file and the viewer.
#ifndef KVLA_BASE_CHUNK_DECISION_H_
#define KVLA_BASE_CHUNK_DECISION_H_

#include <cstdint>
#include <optional>
#include <string_view>

namespace kvla {

// What becomes of a chunk; the numbers are part of the trace format.
enum class ChunkAction : uint8_t { kWindow = 0, kWhole = 1, kCompressed = 2, kDropped = 3 };

// Why; the numbers are part of the trace format. A new one also wants its words in the .cc.
enum class ReasonCode : uint8_t {
  kNone = 0,            // still in the window
  kAll = 1,             // the method keeps everything
  kWindowOnly = 2,      // the method keeps nothing but the window
  kSink = 3,            // among the first chunks
  kRandom = 4,          // by the draw
  kPooled = 5,          // the method compresses everything
  kCueHint = 6,         // told that the cue is here (an upper bound, no method)
  kAboveThreshold = 7,  // score at or above the threshold
  kBelowThreshold = 8,  // score below the threshold
  kOverBudget = 9,      // others scored higher, or were drawn, under the budget
  kWithinBudget = 10,   // among the highest scores that the budget holds
};

std::string_view ActionName(ChunkAction action);  // "window", "whole", "compressed", "dropped"
// For people. "?" for a code that only a later version knows.
std::string_view ReasonText(ReasonCode reason);
// Codes 0 to ReasonCodes() - 1 have a text.
int ReasonCodes();

struct ChunkDecision {
  int chunk = 0;
  ChunkAction action = ChunkAction::kDropped;
  float score = 0;  // any finite number, higher is better; 0 from methods that give none
  ReasonCode reason = ReasonCode::kNone;
  bool operator==(const ChunkDecision&) const = default;
};

// What a cache method can do, as far as those who show its decisions must know.
struct MethodTraits {
  bool scores = false;              // ChunkDecision::score says something
  bool unit_scores = false;         // ... and lies in [0, 1]
  std::optional<double> threshold;  // as configured: that score or a higher one is kept
  bool operator==(const MethodTraits&) const = default;
};

}  // namespace kvla

#endif  // KVLA_BASE_CHUNK_DECISION_H_

// What a cache policy decides and a chunk store applies. No torch.
#ifndef KVLA_KV_EFFICIENT_PLAN_H_
#define KVLA_KV_EFFICIENT_PLAN_H_

#include <cstdint>
#include <string_view>
#include <vector>

namespace kvla {

// The state of a chunk; the numbers are part of the trace format.
enum class ChunkAction : uint8_t { kWindow = 0, kWhole = 1, kCompressed = 2, kDropped = 3 };

// Why; the numbers are part of the trace format.
enum class ReasonCode : uint8_t {
  kNone = 0,        // still in the window
  kAll = 1,         // the method keeps everything
  kWindowOnly = 2,  // the method keeps nothing but the window
  kSink = 3,        // among the first chunks
  kRandom = 4,      // by the draw
  kPooled = 5,      // the method compresses everything
  kCueHint = 6,     // told that the cue is here (an upper bound, no method)
  kGateAbove = 7,   // score at or above the threshold
  kGateBelow = 8,   // score below the threshold
  kOverBudget = 9,  // others scored higher, or were drawn, under the budget
};

std::string_view ActionName(ChunkAction action);  // "window", "whole", "compressed", "dropped"
std::string_view ReasonText(ReasonCode reason);   // for people

struct ChunkDecision {
  int chunk = 0;
  ChunkAction action = ChunkAction::kDropped;
  float score = 0;  // in [0, 1]
  ReasonCode reason = ReasonCode::kNone;
};

// Half-open range of token offsets inside a chunk, [0, chunk_blocks * tokens_per_block).
struct TokenRange {
  int begin = 0;
  int end = 0;
};

// What one lane (layer, KV head) keeps of one chunk: ranges in ascending order, and with
// `summarize` also one summary per token slot over the whole chunk.
struct ChunkCut {
  int chunk = 0;
  std::vector<TokenRange> keep;
  bool summarize = false;
};

struct LanePlan {
  std::vector<ChunkCut> cuts;  // for chunks named in Plan::decisions
};

// Decides the chunk that leaves and may decide older chunks again (to less than they hold).
struct Plan {
  std::vector<ChunkDecision> decisions;
  // Empty: every lane does what the decisions say. Else one entry a lane, index
  // layer * kv_heads + kv_head; a decided chunk without a cut follows its decision.
  std::vector<LanePlan> lanes;
};

// A decision with the block after whose end it was taken: in force for later blocks.
struct DecisionEvent {
  int block = 0;
  ChunkDecision decision;
};

// The state of one chunk of an episode.
struct ChunkRecord {
  ChunkDecision decision;  // action kWindow while it is near
  int decided_block = -1;  // block after whose end the last decision was taken
};

}  // namespace kvla

#endif  // KVLA_KV_EFFICIENT_PLAN_H_

#include "kv_efficient/plan.h"

namespace kvla {

std::string_view ActionName(ChunkAction action) {
  switch (action) {
    case ChunkAction::kWindow:
      return "window";
    case ChunkAction::kWhole:
      return "whole";
    case ChunkAction::kCompressed:
      return "compressed";
    case ChunkAction::kDropped:
      return "dropped";
  }
  return "?";
}

std::string_view ReasonText(ReasonCode reason) {
  switch (reason) {
    case ReasonCode::kNone:
      return "in the window";
    case ReasonCode::kAll:
      return "keeps everything";
    case ReasonCode::kWindowOnly:
      return "keeps only the window";
    case ReasonCode::kSink:
      return "among the first chunks";
    case ReasonCode::kRandom:
      return "by the draw";
    case ReasonCode::kPooled:
      return "compresses everything";
    case ReasonCode::kCueHint:
      return "told where the cue is";
    case ReasonCode::kGateAbove:
      return "score at the threshold or above";
    case ReasonCode::kGateBelow:
      return "score below the threshold";
    case ReasonCode::kOverBudget:
      return "over the budget";
  }
  return "?";
}

}  // namespace kvla

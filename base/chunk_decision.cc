// SPDX-License-Identifier: Apache-2.0
#include "base/chunk_decision.h"

#include <array>

namespace kvla {
namespace {

// By code.
constexpr std::array<std::string_view, 11> kReasonTexts = {"in the window",
                                                           "keeps everything",
                                                           "keeps only the window",
                                                           "among the first chunks",
                                                           "by the draw",
                                                           "compresses everything",
                                                           "told where the cue is",
                                                           "score at the threshold or above",
                                                           "score below the threshold",
                                                           "over the budget",
                                                           "within the budget"};

}  // namespace

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
  const auto code = static_cast<size_t>(reason);
  return code < kReasonTexts.size() ? kReasonTexts[code] : "?";
}

int ReasonCodes() { return static_cast<int>(kReasonTexts.size()); }

}  // namespace kvla

// SPDX-License-Identifier: Apache-2.0
#include "base/split_names.h"

#include <fmt/format.h>

namespace kvla {

Result<Split> ParseSplit(const std::string& name) {
  for (const Split split : {Split::kTrain, Split::kValidation, Split::kEvaluation}) {
    if (name == SplitName(split)) return split;
  }
  return BadInput(fmt::format("no split '{}': there are train, validation and evaluation", name));
}

std::string SplitName(Split split) {
  switch (split) {
    case Split::kTrain:
      return "train";
    case Split::kValidation:
      return "validation";
    case Split::kEvaluation:
      break;
  }
  return "evaluation";
}

}  // namespace kvla

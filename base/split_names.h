// SPDX-License-Identifier: Apache-2.0
// The splits of the random streams by name.
#ifndef KVLA_BASE_SPLIT_NAMES_H_
#define KVLA_BASE_SPLIT_NAMES_H_

#include <string>

#include "base/rng.h"
#include "base/status.h"

namespace kvla {

Result<Split> ParseSplit(const std::string& name);  // "train", "validation", "evaluation"
std::string SplitName(Split split);

}  // namespace kvla

#endif  // KVLA_BASE_SPLIT_NAMES_H_

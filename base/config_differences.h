// SPDX-License-Identifier: Apache-2.0
// What differs between two configs, for a message.
#ifndef KVLA_BASE_CONFIG_DIFFERENCES_H_
#define KVLA_BASE_CONFIG_DIFFERENCES_H_

#include <string>
#include <vector>

#include "base/config_node.h"

namespace kvla {

// One line a setting of two resolved configs (YAML), such as
// "arms.gated.cache.threshold is '0.5' in the run, '0.6' now", where `holder` is "the run".
// REQUIRES: was != now.
std::vector<std::string> ConfigDifferences(const std::string& was, const std::string& now,
                                           const std::string& holder);

// Members of the config `now` that are not in `was` with the same text, in their order: for structs
// without structs in them.
std::vector<ConfigMember> ChangedMembers(const std::string& was, const std::string& now);

// The first few, a line each, two blanks before all but the first; how many more there are.
std::string ListDifferences(std::vector<std::string> differences);

}  // namespace kvla

#endif  // KVLA_BASE_CONFIG_DIFFERENCES_H_

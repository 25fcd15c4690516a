// What differs between two configs, for a message.
#ifndef KVLA_RESULTS_CONFIG_DIFFERENCES_H_
#define KVLA_RESULTS_CONFIG_DIFFERENCES_H_

#include <string>
#include <vector>

namespace kvla {

// One line a setting of two resolved configs (YAML), such as
// "arms.gated.cache.threshold is '0.5' in the run, '0.6' now". REQUIRES: was != now.
std::vector<std::string> ConfigDifferences(const std::string& was, const std::string& now);

}  // namespace kvla

#endif  // KVLA_RESULTS_CONFIG_DIFFERENCES_H_

// SPDX-License-Identifier: Apache-2.0
#include "results/report/comparable.h"

#include <set>
#include <vector>

#include "base/text.h"

namespace kvla {
namespace {

// Every value that the runs list under a key ("a | b"), each once, in order.
std::vector<std::string> Values(std::span<const RunMeta> runs, const char* key,
                                const char* fallback) {
  constexpr std::string_view kBetween = " | ";
  std::vector<std::string> values;
  std::set<std::string> seen;
  for (const RunMeta& run : runs) {
    const auto found = run.find(key);
    std::string rest = found == run.end() || found->second.empty() ? fallback : found->second;
    while (true) {
      const size_t at = rest.find(kBetween);
      const std::string value = rest.substr(0, at);
      if (seen.insert(value).second) values.push_back(value);
      if (at == std::string::npos) break;
      rest = rest.substr(at + kBetween.size());
    }
  }
  return values;
}

}  // namespace

std::string WhyNotComparable(std::span<const RunMeta> runs) {
  std::vector<std::string> reasons;
  const std::vector<std::string> workers = Values(runs, "workers", "an unknown number of");
  if (workers != std::vector<std::string>{"1"}) {
    reasons.push_back("measured with " + Join(workers, " and ") + " workers");
  } else if (Values(runs, "pinned", "yes") != std::vector<std::string>{"yes"}) {
    reasons.emplace_back("the worker was not pinned to a core");
  }
  const std::vector<std::string> batch = Values(runs, "batch", "1");
  if (batch != std::vector<std::string>{"1"}) {
    reasons.push_back("measured while a worker stepped " + Join(batch, " and ") +
                      " episodes at a time");
  }
  const auto one = [&](const char* key, const char* what) {
    const std::vector<std::string> values = Values(runs, key, "not recorded");
    if (values.size() > 1) reasons.push_back(what + (": " + Join(values, " and ")));
  };
  one("device", "several devices");
  one("cpu", "several CPUs");
  one("cpu_kernels", "several sets of CPU kernels");
  return Join(reasons, "; ");
}

}  // namespace kvla

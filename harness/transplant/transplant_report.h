// SPDX-License-Identifier: Apache-2.0
// What `kvla transplant` says of its trials.
#ifndef KVLA_HARNESS_TRANSPLANT_TRANSPLANT_REPORT_H_
#define KVLA_HARNESS_TRANSPLANT_TRANSPLANT_REPORT_H_

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "harness/transplant/transplant_config.h"
#include "harness/transplant/transplant_trial.h"

namespace kvla {

// The trials of an arm in which chunks were taken over, of one task at all delays or of all tasks.
struct TransplantRow {
  std::string arm, task;  // "all tasks"
  int trials = 0;
  int chunks = 0;                        // taken over, summed
  std::map<std::string, int> skipped{};  // why, how many times
  std::map<TransplantAnswer, int> alone{}, transplanted{}, control{};
};

// In the order of the config's arms and tasks; an arm's last row is all of its tasks, where there
// are several. Trials of other arms, tasks, delays or seeds than the plan's are left out.
std::vector<TransplantRow> TransplantRows(const TransplantPlan& plan,
                                          const std::vector<TransplantTrial>& trials);

// For people: rates with 95% intervals (Wilson).
std::string FormatTransplant(const std::vector<TransplantRow>& rows);
nlohmann::json TransplantJson(const TransplantConfig& config,
                              const std::vector<TransplantRow>& rows);

}  // namespace kvla

#endif  // KVLA_HARNESS_TRANSPLANT_TRANSPLANT_REPORT_H_

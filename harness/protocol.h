// Under which rules a run's numbers were taken: what a table needs beside it to be compared with
// another. Stored with the run when it starts.
#ifndef KVLA_HARNESS_PROTOCOL_H_
#define KVLA_HARNESS_PROTOCOL_H_

#include <nlohmann/json.hpp>
#include <string>

#include "harness/run_config.h"

namespace kvla {

// [{"title": "Tasks", "items": [["what", "value"], ...]}, ...], in the order to be read.
// `workers`, `pinned` and `cpu` as the run has them: a run that went on elsewhere lists several.
nlohmann::json ProtocolOf(const RunPlan& plan, const std::string& workers,
                          const std::string& pinned, const std::string& cpu);

}  // namespace kvla

#endif  // KVLA_HARNESS_PROTOCOL_H_

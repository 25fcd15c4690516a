// SPDX-License-Identifier: Apache-2.0
// A cache method by its name alone, as the suite's studies set it (configs/studies/).
#ifndef KVLA_HARNESS_BENCH_ARM_SETTINGS_H_
#define KVLA_HARNESS_BENCH_ARM_SETTINGS_H_

#include <filesystem>
#include <string>

#include "base/status.h"
#include "kv_efficient/methods/cache_config.h"
#include "policy/policy.h"

namespace kvla {

// Window and chunks are the policy's, a gate is the one beside its weights. BadInput: there is no
// such method.
Result<CacheConfig> ArmOf(const std::string& method, const PolicySpec& policy,
                          const std::filesystem::path& checkpoint);

}  // namespace kvla

#endif  // KVLA_HARNESS_BENCH_ARM_SETTINGS_H_

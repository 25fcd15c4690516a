// SPDX-License-Identifier: Apache-2.0
// `kvla bench inference|attention|gate|compact|episodes`: the policy's side.
#ifndef KVLA_APPS_BENCH_POLICY_H_
#define KVLA_APPS_BENCH_POLICY_H_

#include "apps/app_context.h"

namespace CLI {
class App;
}  // namespace CLI

namespace kvla {

void AddPolicyBenches(CLI::App& bench, const AppContext& context, int* exit_code);

}  // namespace kvla

#endif  // KVLA_APPS_BENCH_POLICY_H_

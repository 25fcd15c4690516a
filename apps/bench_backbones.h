// SPDX-License-Identifier: Apache-2.0
// `kvla bench backbones`: what a history costs published policies.
#ifndef KVLA_APPS_BENCH_BACKBONES_H_
#define KVLA_APPS_BENCH_BACKBONES_H_

#include "apps/app_context.h"

namespace CLI {
class App;
}  // namespace CLI

namespace kvla {

void AddBackboneBench(CLI::App& bench, const AppContext& context, int* exit_code);

}  // namespace kvla

#endif  // KVLA_APPS_BENCH_BACKBONES_H_

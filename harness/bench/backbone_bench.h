// SPDX-License-Identifier: Apache-2.0
// What a history costs the published backbones: the counterpart of the paper's table. No torch in
// here.
#ifndef KVLA_HARNESS_BENCH_BACKBONE_BENCH_H_
#define KVLA_HARNESS_BENCH_BACKBONE_BENCH_H_

#include <functional>
#include <nlohmann/json.hpp>
#include <span>
#include <string>

#include "base/status.h"
#include "harness/bench/backbone_config.h"
#include "policy/backbones/shapes.h"

namespace kvla {

// Called before what is named is measured, with the steps done; false stops (kCancelled).
using BackboneProgress = std::function<bool(int done, const std::string& what)>;
int BackboneSteps(size_t backbones, const BackboneBenchConfig& config);

// {"name", "machine", "note", "settings", "backbones": [BackboneJson()]}, of a checked config.
// Random weights, one layer of each kind at a time on this thread, in f32; times by its clock.
Result<nlohmann::json> BenchBackbones(std::span<const BackboneShape> shapes,
                                      const BackboneBenchConfig& config,
                                      const BackboneProgress& progress);

}  // namespace kvla

#endif  // KVLA_HARNESS_BENCH_BACKBONE_BENCH_H_

// SPDX-License-Identifier: Apache-2.0
#include "harness/bench/backbone_bench.h"

#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "harness/bench/backbone_report.h"

namespace kvla {
namespace {

// Histories that were measured for one backbone serve others with the same cache.
struct Measured {
  CacheGeometry geometry;
  std::vector<QueryKey> queries;
  bool crosses = false;
  HistoryTimes times;
};

bool Serves(const Measured& measured, const CacheGeometry& g, const std::vector<QueryKey>& queries,
            bool crosses) {
  const CacheGeometry& m = measured.geometry;
  return m.heads == g.heads && m.kv_heads == g.kv_heads && m.head_dim == g.head_dim &&
         m.tokens_per_block == g.tokens_per_block && m.instruction_tokens == g.instruction_tokens &&
         measured.crosses == crosses && std::ranges::includes(measured.queries, queries);
}

Status Stopped() { return {StatusCode::kCancelled, "stopped"}; }

Result<nlohmann::json> Bench(std::span<const BackboneShape> shapes,
                             const BackboneBenchConfig& config, const BackboneProgress& progress) {
  nlohmann::json report = {
      {"name", config.name},
      {"note",
       "One layer of each kind measured with random weights (f32, one thread) and multiplied by "
       "how often an inference runs it; attention over one layer's cache with a random history of "
       "that length. 'gated R': a gate with random weights is asked, a share R of the chunks that "
       "left the window is kept."},
      {"settings",
       {{"window_blocks", config.window_blocks},
        {"chunk_blocks", config.chunk_blocks},
        {"gate_hidden", config.gate_hidden},
        {"memory_gb", config.memory_gb}}},
      {"backbones", nlohmann::json::array()}};
  std::vector<Measured> measured;
  int done = 0;
  for (const BackboneShape& shape : shapes) {
    if (!progress(done++, shape.name + ", layers")) return Stopped();
    const Result<LayerTimes> layers = TimeLayers(shape, config);
    if (!layers.ok()) return layers.status().In(shape.name);
    if (report["backbones"].empty()) report["machine"] = layers->rates.machine;

    const std::vector<QueryKey> queries = QueriesOf(WorkOf(shape, shape.block_tokens()));
    const CacheGeometry geometry = GeometryOf(shape, config);
    const bool crosses = shape.expert.cross_layers > 0;
    auto found = std::ranges::find_if(
        measured, [&](const Measured& m) { return Serves(m, geometry, queries, crosses); });
    if (found == measured.end()) {
      const int before = done;
      Result<HistoryTimes> times = TimeHistories(shape, config, queries, [&](int inference) {
        return progress(done++, fmt::format("{}, {} inferences", shape.name, inference));
      });
      if (!times.ok()) return times.status();
      done = before;
      measured.push_back({geometry, queries, crosses, *std::move(times)});
      found = std::prev(measured.end());
    }
    done += static_cast<int>(config.inferences.size());
    report["backbones"].push_back(BackboneJson(shape, config, *layers, found->times));
  }
  return report;
}

}  // namespace

Status CheckBackboneBench(const BackboneBenchConfig& config) {
  if (config.backbones.empty()) return BadInput("backbones: there is none to measure");
  if (config.inferences.empty()) return BadInput("inferences: there is no history to measure");
  for (size_t i = 1; i < config.inferences.size(); ++i) {
    if (config.inferences[i] <= config.inferences[i - 1]) {
      return BadInput(fmt::format("inferences: {} stands behind {}; they must ascend",
                                  config.inferences[i], config.inferences[i - 1]));
    }
  }
  if (const std::set<double> once(config.rho.begin(), config.rho.end());
      once.size() != config.rho.size()) {
    return BadInput("rho: a share stands there twice");
  }
  for (const std::string& name : config.backbones) {
    if (const auto shape = BackboneShapeNamed(name); !shape.ok()) {
      return shape.status().In("backbones");
    }
  }
  return {};
}

int BackboneSteps(size_t backbones, const BackboneBenchConfig& config) {
  return static_cast<int>(backbones * (1 + config.inferences.size()));
}

Result<nlohmann::json> BenchBackbones(std::span<const BackboneShape> shapes,
                                      const BackboneBenchConfig& config,
                                      const BackboneProgress& progress) {
  try {
    return Bench(shapes, config, progress);
  } catch (const c10::Error& e) {
    return InternalError(fmt::format("bench: {}", e.what_without_backtrace()));
  }
}

}  // namespace kvla

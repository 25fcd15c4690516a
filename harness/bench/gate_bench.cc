// SPDX-License-Identifier: Apache-2.0
#include "harness/bench/gate_bench.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "kv_efficient/methods/learned/chunk_gate.h"
#include "kv_efficient/methods/learned/gate_forward.h"
#include "tensors/module_weights.h"
#include "tensors/torch.h"

namespace kvla {
namespace {

constexpr int kChunks = 8;  // of an episode

// Both gates. A state that meets the same chunk again and again changes nothing of the work.
struct Bench {
  explicit Bench(ChunkGate of) : gate(std::move(of)), forward(WeightsOf(*gate), gate->shape()) {
    torch::manual_seed(1);
    chunks = torch::randn({kChunks, gate->shape().chunk_tokens, gate->shape().features});
  }

  ChunkGate gate;
  GateForward forward;
  at::Tensor chunks;  // [kChunks, tokens, features]
  int chunk = 0;
  GateForward::State state;
  ChunkGateImpl::State libtorch_state;
  Samples ours, libtorch;
  double difference = 0;  // the largest, between the logits

  float Step() {
    const GateShape& shape = gate->shape();
    const int64_t at = int64_t{chunk} * shape.chunk_tokens * shape.features;
    return forward.Step(chunks.const_data_ptr<float>() + at, shape.chunk_tokens, &state);
  }
  float StepByLibTorch() {
    const c10::InferenceMode inference;
    return gate->Step(chunks.narrow(0, chunk, 1), &libtorch_state).item<float>();
  }
  void CompareAnEpisode() {
    for (chunk = 0; chunk < kChunks; ++chunk) {
      difference = std::max<double>(difference, std::abs(Step() - StepByLibTorch()));
    }
    chunk = 0;
  }
  std::vector<Turn> turns() {
    return {Repeat([this] { Step(); }, &ours), Repeat([this] { StepByLibTorch(); }, &libtorch)};
  }

  nlohmann::json Row(const MachineLimits& limits) const {
    const GateShape& shape = gate->shape();
    const double flops_per_s = gate->Flops() / (ours.median() / 1000);
    nlohmann::json row = {{"chunk_tokens", shape.chunk_tokens},
                          {"features", shape.features},
                          {"hidden", shape.hidden},
                          {"samples", ours.count()},
                          {"mflop", gate->Flops() / 1e6},
                          {"gflop_per_s", flops_per_s / 1e9},
                          {"gemm_share", flops_per_s / limits.flops_per_s()},
                          {"largest_difference", difference}};
    PutTimes("step", ours, &row);
    PutTimes("libtorch_step", libtorch, &row);
    row["ratio_to_libtorch"] = Ratio(ours, libtorch);
    return row;
  }
};

}  // namespace

Result<BenchReport> BenchGate(const std::filesystem::path& path, double seconds) {
  try {
    const Result<LoadedGate> loaded = LoadGate(path);
    if (!loaded.ok()) return loaded.status();
    Bench bench(loaded->gate);
    bench.CompareAnEpisode();
    MachineLimits limits;
    std::vector<Turn> turns = limits.turns();
    for (Turn& turn : bench.turns()) turns.push_back(std::move(turn));
    if (Status status = TakeTurns(turns, seconds); !status.ok()) return status;
    BenchReport report{limits.Json()};
    report.rows.push_back(bench.Row(limits));
    report.rows.back()["gate"] = path.string();
    return report;
  } catch (const c10::Error& e) {
    return InternalError(fmt::format("bench: {}", e.what_without_backtrace()));
  }
}

}  // namespace kvla

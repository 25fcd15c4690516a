// SPDX-License-Identifier: Apache-2.0
#include "harness/bench/gate_bench.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "kv_efficient/methods/chunk_gate.h"
#include "kv_efficient/methods/gate_forward.h"
#include "tensors/torch.h"

namespace kvla {
namespace {

constexpr int kChunks = 8;  // of an episode, that begins anew after them

GateForward ForwardOf(const ChunkGate& gate) {
  const auto weights = [parameters = gate->named_parameters()](const std::string& name) {
    const at::Tensor values = parameters[name].detach().contiguous();
    const float* data = values.const_data_ptr<float>();
    return std::vector<float>(data, data + values.numel());
  };
  return {weights, gate->shape().features, gate->shape().hidden};
}

}  // namespace

Result<BenchReport> BenchGate(const std::filesystem::path& path, double seconds) {
  try {
    const Result<LoadedGate> loaded = LoadGate(path);
    if (!loaded.ok()) return loaded.status();
    ChunkGate gate = loaded->gate;
    const GateShape& shape = gate->shape();
    GateForward forward = ForwardOf(gate);
    torch::manual_seed(1);
    const at::Tensor chunks = torch::randn({kChunks, shape.chunk_tokens, shape.features});
    const float* features = chunks.const_data_ptr<float>();

    float logit = 0, libtorch_logit = 0;
    double difference = 0;
    GateForward::State state;
    ChunkGateImpl::State libtorch_state;
    int chunk = 0;
    Samples ours, libtorch;
    MachineLimits limits;
    std::vector<Turn> turns = limits.turns();
    // A state that is fed the same chunk again and again settles: the work stays the same.
    turns.push_back(Repeat(
        [&] {
          const int64_t at = int64_t{chunk} * shape.chunk_tokens * shape.features;
          logit = forward.Step(features + at, shape.chunk_tokens, &state);
        },
        &ours));
    turns.push_back(Repeat(
        [&] {
          const c10::InferenceMode inference;
          libtorch_logit = gate->Step(chunks.narrow(0, chunk, 1), &libtorch_state).item<float>();
        },
        &libtorch));
    turns.emplace_back([&](bool) {  // both once from the start
      const c10::InferenceMode inference;
      state = {};
      libtorch_state = {};
      chunk = (chunk + 1) % kChunks;
      const int64_t at = int64_t{chunk} * shape.chunk_tokens * shape.features;
      logit = forward.Step(features + at, shape.chunk_tokens, &state);
      libtorch_logit = gate->Step(chunks.narrow(0, chunk, 1), &libtorch_state).item<float>();
      difference = std::max<double>(difference, std::abs(logit - libtorch_logit));
      return Status();
    });
    if (Status status = TakeTurns(turns, seconds); !status.ok()) return status;

    const double flops_per_s = gate->Flops() / (ours.median() / 1000);
    BenchReport report{limits.Json()};
    nlohmann::json row = {{"gate", path.string()},
                          {"chunk_tokens", shape.chunk_tokens},
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
    report.rows.push_back(std::move(row));
    return report;
  } catch (const c10::Error& e) {
    return InternalError(fmt::format("bench: {}", e.what_without_backtrace()));
  }
}

}  // namespace kvla

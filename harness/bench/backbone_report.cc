// SPDX-License-Identifier: Apache-2.0
#include "harness/bench/backbone_report.h"

#include <algorithm>
#include <functional>
#include <utility>
#include <vector>

#include "harness/bench/curve.h"
#include "kv_efficient/attention/ragged_attention.h"
#include "kv_efficient/cost_model.h"
#include "kv_efficient/pass_seconds.h"

namespace kvla {
namespace {

constexpr int kFewRows = 64;  // of one KV head: fewer are a token's

// A whole inference.
struct Whole {
  Milliseconds attention, upkeep, all;
  double predicted_attention_ms = 0, predicted_ms = 0;
  double flops = 0, bytes = 0;
};

class Study {
 public:
  Study(const BackboneShape& shape, const BackboneBenchConfig& config, const LayerTimes& layers)
      : shape_(shape),
        config_(config),
        layers_(layers),
        geometry_(GeometryOf(shape, config)),
        work_(WorkOf(shape, shape.block_tokens())),
        alone_(WorkOf(shape, alone_tokens())) {}

  int alone_tokens() const { return shape_.block_tokens() + shape_.prompt; }
  const CacheGeometry& geometry() const { return geometry_; }

  // Gate and compaction come once a chunk leaves.
  bool Leaves(int inference) const {
    return SettingsOf(config_).schedule().LeftChunks(inference) > 0;
  }

  Whole OfPoint(const HistoryArm& arm, const UpkeepTimes& upkeep, const HistoryPoint& point) const {
    const double layers = shape_.text.layers;
    Whole whole = Sum(work_, layers_.history, point.queries, point.cross, point.attended,
                      layers_.rates.attention.at(arm.storage), point.bytes);
    whole.upkeep += upkeep.append * layers;
    whole.flops = Flops(upkeep, point.inference, point.attended);
    if (Leaves(point.inference)) {
      whole.upkeep += upkeep.gate * layers;
      whole.upkeep += upkeep.compact * layers;
      whole.predicted_ms += 1e3 * layers * upkeep.gate_flops / layers_.rates.flops_per_s;
    }
    whole.all += whole.upkeep;
    whole.bytes = point.bytes * layers;
    return whole;
  }

  double Flops(const UpkeepTimes& upkeep, int inference, double attended) const {
    return work_.Flops(attended) + (Leaves(inference) ? shape_.text.layers * upkeep.gate_flops : 0);
  }

  // The published model's own way.
  Whole Alone() const {
    const double rate = layers_.rates.library_attention;
    Whole whole = Sum(alone_, layers_.alone, layers_.queries_alone, layers_.cross_alone,
                      alone_tokens(), {rate, rate}, 0);
    whole.flops = alone_.Flops(alone_tokens());
    whole.bytes =
        shape_.text.layers * static_cast<double>(KvBytes(geometry_, int64_t{alone_tokens()}));
    return whole;
  }

 private:
  Whole Sum(const InferenceWork& work, const std::vector<LayerTime>& layers,
            const QueryTimes& queries, const Milliseconds& cross, double attended,
            const CoreRates::Attention& rate, double layer_bytes) const {
    Whole whole;
    for (const LayerTime& layer : layers) {
      whole.all += layer.time * layer.work.times;
      whole.predicted_ms += layer.predicted_ms * layer.work.times;
    }
    for (const AttentionWork& a : work.attention) {
      whole.attention += queries.at({a.rows, a.cross}) * a.times;
      const int rows = PaddedRows(geometry_.group() * a.rows);
      const double flops = 4.0 * geometry_.kv_heads * rows * geometry_.head_dim * attended;
      const double own = rows < kFewRows ? rate.few : rate.many;
      whole.predicted_attention_ms +=
          1e3 * a.times *
          PassSeconds(flops, layer_bytes, a.cross ? layers_.rates.library_attention : own,
                      layers_.rates.bytes_per_s);
    }
    whole.all += whole.attention;
    whole.all += cross * work.cross_layers;
    whole.predicted_ms += whole.predicted_attention_ms + 1e3 * work.cross_layers *
                                                             work.cross_flops * attended /
                                                             layers_.rates.flops_per_s;
    return whole;
  }

  const BackboneShape& shape_;
  const BackboneBenchConfig& config_;
  const LayerTimes& layers_;
  CacheGeometry geometry_;
  InferenceWork work_, alone_;
};

// The first inference between the shortest and the longest history from which on `passes` holds, or
// null.
nlohmann::json FirstFrom(const std::vector<int>& inferences,
                         const std::function<bool(int)>& passes) {
  int first = inferences.back() + 1;
  while (first > inferences.front() && passes(first - 1)) --first;
  return first <= inferences.back() ? nlohmann::json(first) : nlohmann::json();
}

nlohmann::json RowJson(const std::string& arm, int inference, const Whole& whole) {
  return {{"arm", arm},
          {"inference", inference},
          {"kv_bytes", whole.bytes},
          {"gflop", whole.flops / 1e9},
          {"attention_ms", whole.attention.median},
          {"predicted_attention_ms", whole.predicted_attention_ms},
          {"upkeep_ms", whole.upkeep.median},
          {"upkeep_share", whole.upkeep.median / whole.all.median},
          {"inference_ms_median", whole.all.median},
          {"inference_ms_mean", whole.all.mean},
          {"predicted_ms", whole.predicted_ms},
          {"predicted_ratio", whole.predicted_ms / whole.all.median}};
}

nlohmann::json PartsJson(const LayerTimes& layers) {
  nlohmann::json parts = nlohmann::json::array();
  for (const LayerTime& layer : layers.history) {
    const LayerWork& work = layer.work;
    parts.push_back({{"part", LayerName(work.kind)},
                     {"rows", work.rows},
                     {"times", work.times},
                     {"gflop", (work.flops + work.attention_flops) / 1e9},
                     {"ms_median", layer.time.median},
                     {"ms_mean", layer.time.mean},
                     {"predicted_ms", layer.predicted_ms}});
  }
  return parts;
}

nlohmann::json ArmJson(const HistoryArm& arm, const UpkeepTimes& upkeep, int layers) {
  return {{"arm", arm.name},
          {"rho", arm.rho ? nlohmann::json(*arm.rho) : nlohmann::json()},
          {"storage", arm.storage},
          {"append_ms", layers * upkeep.append.median},
          {"gate_ms", layers * upkeep.gate.median},
          {"compact_ms", layers * upkeep.compact.median}};
}

// By inference: times of every arm, and of the first one what attention and all else take.
struct Curves {
  std::vector<Curve> times;
  Curve attention, rest, predicted_attention, predicted_rest;
};

// Rows of all arms and of none; `curves` follow them.
nlohmann::json RowsJson(const Study& study, const BackboneBenchConfig& config,
                        const LayerTimes& layers, const HistoryTimes& history, Curves* curves) {
  const std::vector<HistoryArm> arms = ArmsOf(config);
  nlohmann::json rows = nlohmann::json::array();
  const auto add = [&](const std::string& arm, int inference, const Whole& whole, double attended,
                       bool measured) {
    rows.push_back(RowJson(arm, inference, whole));
    rows.back()["attended"] = attended;
    rows.back()["measured"] = measured;
  };
  curves->times.resize(arms.size());
  for (size_t i = 0; i < arms.size(); ++i) {
    for (const HistoryPoint& point : history[i]) {
      const Whole whole = study.OfPoint(arms[i], layers.upkeep[i], point);
      add(arms[i].name, point.inference, whole, point.attended, point.measured);
      curves->times[i].Add(point.inference, whole.all.median);
      if (i > 0) continue;
      curves->attention.Add(point.inference, whole.attention.median);
      curves->rest.Add(point.inference, whole.all.median - whole.attention.median);
      curves->predicted_attention.Add(point.inference, whole.predicted_attention_ms);
      curves->predicted_rest.Add(point.inference,
                                 whole.predicted_ms - whole.predicted_attention_ms);
    }
  }
  const Whole alone = study.Alone();
  for (const int inference : config.inferences) {
    add("no history", inference, alone, study.alone_tokens(), true);
  }
  return rows;
}

nlohmann::json OvertakesJson(const Study& study, const BackboneBenchConfig& config,
                             const Curves& curves) {
  const auto overtakes = [&](const Curve& a, const Curve& b) {
    return FirstFrom(config.inferences, [&](int n) { return a.At(n) >= b.At(n); });
  };
  const nlohmann::json first = overtakes(curves.attention, curves.rest);
  nlohmann::json tokens;
  if (!first.is_null()) {
    tokens = ArmsOf(config).front().Attended(study.geometry(), SettingsOf(config).schedule(),
                                             first.get<int>());
  }
  return {{"inference", first},
          {"tokens", tokens},
          {"predicted_inference", overtakes(curves.predicted_attention, curves.predicted_rest)}};
}

// From where on an arm passes the paper's figures against the first one: times between measured
// histories are on straight lines, FLOPs and bytes those of every inference.
nlohmann::json PaperJson(const Study& study, const BackboneBenchConfig& config,
                         const LayerTimes& layers, const Curves& curves, size_t arm) {
  const std::vector<HistoryArm> arms = ArmsOf(config);
  const BlockSchedule schedule = SettingsOf(config).schedule();
  const auto attended = [&](size_t i, int n) {
    return arms[i].Attended(study.geometry(), schedule, n);
  };
  const auto flops = [&](size_t i, int n) {
    return study.Flops(layers.upkeep[i], n, static_cast<double>(attended(i, n)));
  };
  const auto bytes = [&](size_t i, int n) {
    return static_cast<double>(arms[i].Bytes(study.geometry(), attended(i, n)));
  };
  const auto from = [&](const std::function<bool(int)>& passes) {
    return FirstFrom(config.inferences, passes);
  };
  return {{"arm", arms[arm].name},
          {"time_from", from([&](int n) {
             return curves.times[0].At(n) >= kPaperTimeRatio * curves.times[arm].At(n);
           })},
          {"flops_from",
           from([&](int n) { return flops(arm, n) <= (1 - kPaperFlopsSaved) * flops(0, n); })},
          {"memory_from",
           from([&](int n) { return bytes(0, n) >= kPaperMemoryRatio * bytes(arm, n); })}};
}

}  // namespace

nlohmann::json BackboneJson(const BackboneShape& shape, const BackboneBenchConfig& config,
                            const LayerTimes& layers, const HistoryTimes& history) {
  const Study study(shape, config, layers);
  const std::vector<HistoryArm> arms = ArmsOf(config);
  nlohmann::json json = {
      {"name", shape.name},
      {"parameters", Parameters(shape)},
      {"layers", shape.text.layers},
      {"block_tokens", shape.block_tokens()},
      {"prompt", shape.prompt},
      {"kv_bytes_per_token", shape.text.layers * KvBytes(study.geometry(), int64_t{1})},
      {"parts", PartsJson(layers)}};
  Curves curves;
  json["rows"] = RowsJson(study, config, layers, history, &curves);
  json["attention_overtakes"] = OvertakesJson(study, config, curves);
  for (size_t i = 0; i < arms.size(); ++i) {
    json["arms"].push_back(ArmJson(arms[i], layers.upkeep[i], shape.text.layers));
    if (i > 0) json["paper"].push_back(PaperJson(study, config, layers, curves, i));
  }
  return json;
}

}  // namespace kvla

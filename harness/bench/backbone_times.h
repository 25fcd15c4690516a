// SPDX-License-Identifier: Apache-2.0
// Times of a published shape's parts, measured one layer at a time with random weights. torch.
#ifndef KVLA_HARNESS_BENCH_BACKBONE_TIMES_H_
#define KVLA_HARNESS_BENCH_BACKBONE_TIMES_H_

#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "harness/bench/backbone_config.h"
#include "harness/bench/history_cache.h"
#include "harness/bench/rounds.h"
#include "policy/backbones/shape_work.h"

namespace kvla {

// Of something, or of a sum of several.
struct Milliseconds {
  double median = 0, mean = 0;
  Milliseconds operator*(double times) const { return {median * times, mean * times}; }
  Milliseconds& operator+=(const Milliseconds& more) {
    median += more.median;
    mean += more.mean;
    return *this;
  }
};

Milliseconds MillisecondsOf(const Samples& samples);

// Of work of so many FLOPs: once a round where that is more than `most`, else as Repeat().
Turn TurnOf(std::function<void()> work, double flops, double most, Samples* samples);

// Attention of one layer's queries: rows, and whether over what the expert's maps made.
using QueryKey = std::pair<int, bool>;
using QueryTimes = std::map<QueryKey, Milliseconds>;

// What this core sustains, by plain means: what the cost model goes by.
struct CoreRates {
  double flops_per_s = 0;  // a product of 256 rows with more weights than a cache holds
  double bytes_per_s = 0;  // read by a product of a matrix and a vector
  // Of the cache's attention by storage, over 4,352 keys of one KV head: many rows, one token's.
  struct Attention {
    double many = 0, few = 0;  // FLOP/s, rows as they are padded
  };
  std::map<std::string, Attention> attention{};
  double library_attention = 0;  // LibTorch's, over as many keys, many rows
  nlohmann::json machine;
};

// What an inference does to a cache beside attending, of one layer.
struct UpkeepTimes {
  Milliseconds append, gate, compact;
  double gate_flops = 0;
};

struct LayerTime {
  LayerWork work;
  Milliseconds time;  // once
  double predicted_ms = 0;
};

// What does not depend on the history.
struct LayerTimes {
  CoreRates rates;
  std::vector<LayerTime> history, alone;  // with a history kept, and without one
  QueryTimes queries_alone;               // over the inference's own tokens
  Milliseconds cross_alone;               // what the expert's maps make of them, one layer
  std::vector<UpkeepTimes> upkeep;        // by arm
};

// An arm at an inference.
struct HistoryPoint {
  int inference = 0;
  bool measured = true;  // false: extrapolated from the two longest that were
  double attended = 0;   // tokens
  double bytes = 0;      // of keys and values of one layer
  QueryTimes queries;
  Milliseconds cross;
};

// By arm, then by inference.
using HistoryTimes = std::vector<std::vector<HistoryPoint>>;

std::vector<HistoryArm> ArmsOf(const BackboneBenchConfig& config);
HistorySettings SettingsOf(const BackboneBenchConfig& config);
// Of one layer.
CacheGeometry GeometryOf(const BackboneShape& shape, const BackboneBenchConfig& config);
// Queries of an inference.
std::vector<QueryKey> QueriesOf(const InferenceWork& work);

// In turns, layers, rates and upkeep, for config.layer_seconds. May throw c10::Error.
Result<LayerTimes> TimeLayers(const BackboneShape& shape, const BackboneBenchConfig& config);

// Of every arm, history by history, in turns for config.history_seconds each. Arms that are not
// f32 have no rows for layers that cross: theirs are those of the first arm. `go_on`, asked before
// each history: false stops (kCancelled). BadInput: fewer than two histories of an arm fit where a
// longer one does not.
Result<HistoryTimes> TimeHistories(const BackboneShape& shape, const BackboneBenchConfig& config,
                                   const std::vector<QueryKey>& queries,
                                   const std::function<bool(int inference)>& go_on);

}  // namespace kvla

#endif  // KVLA_HARNESS_BENCH_BACKBONE_TIMES_H_

// SPDX-License-Identifier: Apache-2.0
// What does not depend on the history.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <tuple>

#include "harness/bench/backbone_times.h"
#include "harness/bench/machine_limits.h"
#include "harness/bench/query_rows.h"
#include "kv_efficient/attention/ragged_attention.h"
#include "kv_efficient/pass_seconds.h"
#include "policy/backbones/attention.h"
#include "policy/backbones/shape_layers.h"
#include "tensors/torch.h"

namespace kvla {
namespace {

// Copies of a layer's weights that take turns, together more than a last-level cache holds.
constexpr int64_t kColdBytes = int64_t{96} << 20;
constexpr double kLongFlops = 2e10;  // of what is run once a round

// What the cost model goes by.
class Rates {
 public:
  Rates(const BackboneShape& shape, const std::vector<HistoryArm>& arms,
        const HistorySettings& settings)
      : matrix_(at::ones({kOutputs, kInputs})),
        vector_(at::ones({kInputs})),
        rows_(at::ones({kRows, kInputs})) {
    CacheGeometry geometry = HistoryGeometry(shape, 1, kBlocks, settings.window_blocks);
    geometry.heads = geometry.group();
    geometry.kv_heads = 1;
    geometry.tokens_per_block = geometry.positions_per_block = kBlockTokens;
    geometry.instruction_tokens = 0;
    geometry_ = geometry;
    for (const HistoryArm& arm : arms) {
      if (arm.rho || references_.contains(arm.storage)) continue;
      references_[arm.storage].arm = arm;
    }
    settings_ = settings;
  }

  Status AddTurns(std::vector<Turn>* turns) {
    for (Turn& turn : limits_.turns()) turns->push_back(std::move(turn));
    turns->push_back(Repeat(
        [this] {
          const c10::InferenceMode inference;
          at::mv(matrix_, vector_);
        },
        &read_));
    turns->push_back(Once(
        [this] {
          const c10::InferenceMode inference;
          at::linear(rows_, matrix_);
        },
        &product_));
    const auto rows = [this](int heads, int n) {
      return at::randn({heads, n, geometry_.head_dim});
    };
    turns->push_back(Repeat(
        [q = rows(geometry_.heads, many_tokens()), k = rows(1, kKeys), v = rows(1, kKeys)] {
          const c10::InferenceMode inference;
          AttendAll(q, k, v);
        },
        &library_));
    for (auto& [storage, reference] : references_) {
      auto made = HistoryCache::Create(geometry_, reference.arm, settings_);
      if (!made.ok()) return made.status();
      reference.cache = *std::move(made);
      if (Status s = reference.cache->GoTo(kBlocks); !s.ok()) return s;
      for (const auto& [tokens, samples] :
           {std::pair{many_tokens(), &reference.many}, std::pair{1, &reference.few}}) {
        const at::Tensor q = at::randn({geometry_.heads, tokens, geometry_.head_dim});
        KvCache* cache = &reference.cache->cache();
        turns->push_back(Repeat([cache, q] { cache->Query(0, q); }, samples));
      }
    }
    return {};
  }

  CoreRates Found() const {
    CoreRates rates;
    rates.flops_per_s =
        2.0 * kRows * static_cast<double>(matrix_.numel()) / product_.median() * 1e3;
    rates.bytes_per_s =
        sizeof(float) * static_cast<double>(kOutputs) * kInputs / read_.median() * 1e3;
    rates.machine = limits_.Json();
    rates.machine["read_gbyte_per_s_median"] = rates.bytes_per_s / 1e9;
    rates.machine["product_gflop_per_s_median"] = rates.flops_per_s / 1e9;
    const auto rate = [this](int rows, const Samples& samples) {
      return 4.0 * rows * geometry_.head_dim * kKeys / samples.median() * 1e3;
    };
    rates.library_attention = rate(geometry_.heads * many_tokens(), library_);
    rates.machine["library_attention_gflop_per_s_median"] = rates.library_attention / 1e9;
    for (const auto& [storage, reference] : references_) {
      const CoreRates::Attention found = {
          rate(PaddedRows(geometry_.heads * many_tokens()), reference.many),
          rate(PaddedRows(geometry_.heads), reference.few)};
      rates.attention[storage] = found;
      const std::string name = "attention_" + storage;
      rates.machine[name + "_gflop_per_s_median"] = found.many / 1e9;
      rates.machine[name + "_one_token_gflop_per_s_median"] = found.few / 1e9;
    }
    return rates;
  }

 private:
  static constexpr int64_t kOutputs = 4096, kInputs = 8192;  // 128 MiB
  static constexpr int64_t kRows = 256;
  static constexpr int kBlocks = 17, kBlockTokens = 256;
  static constexpr int kKeys = kBlocks * kBlockTokens;
  int many_tokens() const { return TokensOfCall(geometry_.heads, geometry_.head_dim); }
  struct Reference {
    HistoryArm arm;
    std::unique_ptr<HistoryCache> cache;
    Samples many, few;
  };

  CacheGeometry geometry_;
  HistorySettings settings_;
  at::Tensor matrix_, vector_, rows_;
  MachineLimits limits_;
  Samples read_, product_, library_;
  std::map<std::string, Reference> references_;
};

// A short history that chunks leave, again and again; a turn is as long as a chunk.
class Upkeep {
 public:
  static Result<std::unique_ptr<Upkeep>> Create(CacheGeometry geometry, const HistoryArm& arm,
                                                const HistorySettings& settings) {
    std::unique_ptr<Upkeep> upkeep(new Upkeep());
    upkeep->first_ = settings.window_blocks + settings.chunk_blocks;
    upkeep->chunk_ = settings.chunk_blocks;
    geometry.max_blocks = upkeep->first_ + kChunks * settings.chunk_blocks;
    upkeep->last_ = geometry.max_blocks;
    auto made = HistoryCache::Create(geometry, arm, settings);
    if (!made.ok()) return made.status();
    upkeep->history_ = *std::move(made);
    return upkeep;
  }

  Turn turn() {
    return [this](bool kept) -> Status {
      if (history_->inference() == 0 || history_->inference() + chunk_ > last_) {
        if (Status s = history_->Restart(); !s.ok()) return s;
        if (Status s = history_->GoTo(first_); !s.ok()) return s;
      }
      double append = 0, gate = 0, compact = 0;
      for (int i = 0; i < chunk_; ++i) {
        if (Status s = history_->Advance(&append, &gate, &compact); !s.ok()) return s;
      }
      if (!kept) return {};
      append_.Add(append / chunk_);
      gate_.Add(gate / chunk_);
      compact_.Add(compact / chunk_);
      return {};
    };
  }

  UpkeepTimes Found() const {
    return {MillisecondsOf(append_), MillisecondsOf(gate_), MillisecondsOf(compact_),
            history_->gate_flops() / chunk_};
  }

 private:
  Upkeep() = default;
  static constexpr int kChunks = 8;

  std::unique_ptr<HistoryCache> history_;
  int first_ = 0, last_ = 0, chunk_ = 0;
  Samples append_, gate_, compact_;
};

double PredictedMs(const LayerWork& work, const CoreRates& rates) {
  return 1e3 * (ProductSeconds(work.flops, sizeof(float) * work.weights, rates.flops_per_s,
                               rates.bytes_per_s) +
                work.attention_flops / rates.library_attention);
}

// Each layer of an inference, once for all that run it over as many rows.
class Layers {
 public:
  void AddTurns(const BackboneShape& shape, const InferenceWork& work, std::vector<Turn>* turns) {
    for (const LayerWork& layer : work.layers) {
      const auto [at, is_new] = samples_.try_emplace(KeyOf(layer));
      if (!is_new) continue;
      turns->push_back(TurnOf(MakeLayer(shape, layer, kColdBytes),
                              layer.flops + layer.attention_flops, kLongFlops, &at->second));
    }
  }

  std::vector<LayerTime> Found(const InferenceWork& work, const CoreRates& rates) const {
    std::vector<LayerTime> times;
    for (const LayerWork& layer : work.layers) {
      times.push_back(
          {layer, MillisecondsOf(samples_.at(KeyOf(layer))), PredictedMs(layer, rates)});
    }
    return times;
  }

 private:
  using Key = std::tuple<LayerKind, int, int>;
  static Key KeyOf(const LayerWork& work) { return {work.kind, work.tower, work.rows}; }

  std::map<Key, Samples> samples_;
};

// Attention of an inference without a history, as the published models compute it.
class AloneQueries {
 public:
  void AddTurns(const BackboneShape& shape, const InferenceWork& work, int tokens,
                std::vector<Turn>* turns) {
    const LlamaSizes& text = shape.text;
    const KvRows own = {at::randn({text.kv_heads, tokens, text.head_dim}),
                        at::randn({text.kv_heads, tokens, text.head_dim})};
    for (const QueryKey& key : QueriesOf(work)) {
      turns->push_back(Repeat(
          [q = at::randn({text.heads, key.first, text.head_dim}), own] {
            const c10::InferenceMode inference;
            AttendAll(q, own.keys, own.values);
          },
          &queries_[key]));
    }
    if (work.cross_layers == 0) return;
    turns->push_back(Repeat([maps = MakeCrossMaps(shape), own] { maps(own); }, &cross_));
  }

  void Put(LayerTimes* times) const {
    for (const auto& [key, samples] : queries_) times->queries_alone[key] = MillisecondsOf(samples);
    if (cross_.count() > 0) times->cross_alone = MillisecondsOf(cross_);
  }

 private:
  std::map<QueryKey, Samples> queries_;
  Samples cross_;
};

}  // namespace

Milliseconds MillisecondsOf(const Samples& samples) { return {samples.median(), samples.mean()}; }

Turn TurnOf(std::function<void()> work, double flops, double most, Samples* samples) {
  return flops > most ? Once(std::move(work), samples) : Repeat(std::move(work), samples);
}

std::vector<HistoryArm> ArmsOf(const BackboneBenchConfig& config) {
  std::vector<HistoryArm> arms = {{.name = "full"}};
  for (const double rho : config.rho) {
    arms.push_back({.name = fmt::format("gated {:g}", rho), .rho = rho});
  }
  arms.push_back({.name = "int8", .storage = "int8"});
  return arms;
}

HistorySettings SettingsOf(const BackboneBenchConfig& config) {
  return {.window_blocks = config.window_blocks,
          .chunk_blocks = config.chunk_blocks,
          .gate_hidden = config.gate_hidden};
}

CacheGeometry GeometryOf(const BackboneShape& shape, const BackboneBenchConfig& config) {
  return HistoryGeometry(shape, 1, config.inferences.back(), std::max(1, config.window_blocks));
}

std::vector<QueryKey> QueriesOf(const InferenceWork& work) {
  std::map<QueryKey, int> keys;
  for (const AttentionWork& a : work.attention) keys[{a.rows, a.cross}] += a.times;
  std::vector<QueryKey> list;
  for (const auto& [key, times] : keys) list.push_back(key);
  return list;
}

Result<LayerTimes> TimeLayers(const BackboneShape& shape, const BackboneBenchConfig& config) {
  const int alone_tokens = shape.block_tokens() + shape.prompt;
  const InferenceWork history = WorkOf(shape, shape.block_tokens()),
                      alone = WorkOf(shape, alone_tokens);
  const std::vector<HistoryArm> arms = ArmsOf(config);
  const HistorySettings settings = SettingsOf(config);
  std::vector<Turn> turns;
  Rates rates(shape, arms, settings);
  if (Status s = rates.AddTurns(&turns); !s.ok()) return s;
  Layers layers;
  layers.AddTurns(shape, history, &turns);
  layers.AddTurns(shape, alone, &turns);
  AloneQueries queries;
  queries.AddTurns(shape, alone, alone_tokens, &turns);
  std::vector<std::unique_ptr<Upkeep>> upkeep;
  for (const HistoryArm& arm : arms) {
    auto made = Upkeep::Create(GeometryOf(shape, config), arm, settings);
    if (!made.ok()) return made.status();
    upkeep.push_back(*std::move(made));
    turns.push_back(upkeep.back()->turn());
  }
  if (Status s = TakeTurns(turns, config.layer_seconds, config.rounds); !s.ok()) return s;

  LayerTimes times;
  times.rates = rates.Found();
  times.history = layers.Found(history, times.rates);
  times.alone = layers.Found(alone, times.rates);
  queries.Put(&times);
  for (const auto& each : upkeep) times.upkeep.push_back(each->Found());
  return times;
}

}  // namespace kvla

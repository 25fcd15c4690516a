// SPDX-License-Identifier: Apache-2.0
// Attention over histories.
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "harness/bench/backbone_times.h"
#include "harness/bench/query_rows.h"
#include "policy/backbones/attention.h"
#include "policy/backbones/shape_layers.h"
#include "tensors/torch.h"

namespace kvla {
namespace {

constexpr double kLongFlops = 1e10;  // of what is run once a round

// Times of one arm's queries at one history.
struct Cell {
  std::map<QueryKey, Samples> queries;
  Samples cross;
  KvRows crossed;  // what the layers that cross read
};

class Arm {
 public:
  Arm(const BackboneShape& shape, const BackboneBenchConfig& config, HistoryArm arm)
      : shape_(shape),
        config_(config),
        arm_(std::move(arm)),
        settings_(SettingsOf(config)),
        geometry_(GeometryOf(shape, config)) {}

  const HistoryArm& arm() const { return arm_; }
  int64_t Attended(int inference) const {
    return arm_.Attended(geometry_, settings_.schedule(), inference);
  }
  bool Fits(int inference) const {
    return static_cast<double>(arm_.Bytes(geometry_, Attended(inference))) <=
           1e9 * config_.memory_gb;
  }
  bool crosses() const { return arm_.storage == "f32" && shape_.expert.cross_layers > 0; }

  Status GoTo(int inference) {
    if (history_ == nullptr) {
      CacheGeometry geometry = geometry_;
      for (const int n : config_.inferences) {
        if (Fits(n)) geometry.max_blocks = n;
      }
      auto made = HistoryCache::Create(geometry, arm_, settings_);
      if (!made.ok()) return made.status();
      history_ = *std::move(made);
      if (crosses()) cross_maps_ = MakeCrossMaps(shape_);
    }
    return history_->GoTo(inference);
  }

  void AddTurns(const std::vector<QueryKey>& queries, Cell* cell, std::vector<Turn>* turns) {
    KvCache* cache = &history_->cache();
    if (crosses()) {
      turns->push_back(Repeat(
          [this, cache, cell] {
            auto [keys, values] = cache->SeenRows(0);
            cell->crossed = cross_maps_({std::move(keys), std::move(values)});
          },
          &cell->cross));
    }
    for (const QueryKey& key : queries) {
      const auto [rows, cross] = key;
      if (cross && !crosses()) continue;
      const at::Tensor q = at::randn({geometry_.heads, rows, geometry_.head_dim});
      std::function<void()> work;
      if (cross) {
        work = [cell, q] {
          const c10::InferenceMode inference;
          AttendAll(q, cell->crossed.keys, cell->crossed.values);
        };
      } else {
        work = [cache, parts = q.split(TokensOfCall(geometry_.group(), geometry_.head_dim), 1)] {
          for (const at::Tensor& part : parts) cache->Query(0, part);
        };
      }
      const double flops =
          4.0 * static_cast<double>(q.numel()) * static_cast<double>(history_->attended());
      turns->push_back(TurnOf(std::move(work), flops, kLongFlops, &cell->queries[key]));
    }
  }

  HistoryPoint Found(const Cell& cell) const {
    HistoryPoint point;
    point.inference = history_->inference();
    point.attended = static_cast<double>(history_->attended());
    point.bytes = arm_.storage == "f32"
                      ? static_cast<double>(arm_.Bytes(geometry_, history_->attended()))
                      : static_cast<double>(history_->cache().store().live_bytes());
    for (const auto& [key, samples] : cell.queries) point.queries[key] = MillisecondsOf(samples);
    if (crosses()) point.cross = MillisecondsOf(cell.cross);
    return point;
  }

 private:
  const BackboneShape& shape_;
  const BackboneBenchConfig& config_;
  HistoryArm arm_;
  HistorySettings settings_;
  CacheGeometry geometry_;
  std::unique_ptr<HistoryCache> history_;
  std::function<KvRows(const KvRows&)> cross_maps_;
};

// On the line through two points, by tokens.
HistoryPoint Extrapolated(const HistoryPoint& a, const HistoryPoint& b, int inference,
                          int64_t attended) {
  HistoryPoint point;
  point.inference = inference;
  point.measured = false;
  point.attended = static_cast<double>(attended);
  const double share = (point.attended - a.attended) / (b.attended - a.attended);
  const auto line = [share](double at_a, double at_b) { return at_a + share * (at_b - at_a); };
  const auto times = [&line](const Milliseconds& at_a, const Milliseconds& at_b) {
    return Milliseconds{line(at_a.median, at_b.median), line(at_a.mean, at_b.mean)};
  };
  point.bytes = line(a.bytes, b.bytes);
  point.cross = times(a.cross, b.cross);
  for (const auto& [key, time] : a.queries) point.queries[key] = times(time, b.queries.at(key));
  return point;
}

}  // namespace

Result<HistoryTimes> TimeHistories(const BackboneShape& shape, const BackboneBenchConfig& config,
                                   const std::vector<QueryKey>& queries,
                                   const std::function<bool(int inference)>& go_on) {
  std::vector<Arm> arms;
  for (HistoryArm& arm : ArmsOf(config)) arms.emplace_back(shape, config, std::move(arm));
  HistoryTimes found(arms.size());
  for (const int inference : config.inferences) {
    if (!go_on(inference)) return Status(StatusCode::kCancelled, "stopped");
    std::vector<Cell> cells(arms.size());
    std::vector<Turn> turns;
    for (size_t i = 0; i < arms.size(); ++i) {
      if (!arms[i].Fits(inference)) continue;
      if (Status s = arms[i].GoTo(inference); !s.ok()) return s;
      arms[i].AddTurns(queries, &cells[i], &turns);
    }
    if (Status s = TakeTurns(turns, config.history_seconds, config.rounds); !s.ok()) return s;
    for (size_t i = 0; i < arms.size(); ++i) {
      std::vector<HistoryPoint>& points = found[i];
      if (arms[i].Fits(inference)) {
        points.push_back(arms[i].Found(cells[i]));
      } else if (points.size() < 2 || points[0].attended == points[1].attended) {
        return BadInput(
            fmt::format("{}, {}: one layer's keys and values of {} inferences take more than "
                        "memory_gb ({:g}), and fewer than two shorter histories do not: ask for "
                        "shorter ones or allow more memory",
                        shape.name, arms[i].arm().name, inference, config.memory_gb));
      } else {
        const size_t measured =
            static_cast<size_t>(std::ranges::count(points, true, &HistoryPoint::measured));
        if (measured < 2) return InternalError("an extrapolated point without two measured ones");
        points.push_back(Extrapolated(points[measured - 2], points[measured - 1], inference,
                                      arms[i].Attended(inference)));
      }
      if (arms[i].crosses() || shape.expert.cross_layers == 0) continue;
      const HistoryPoint& first = found[0].back();
      points.back().cross = first.cross;
      for (const auto& [key, time] : first.queries) {
        if (key.second) points.back().queries[key] = time;
      }
    }
  }
  return found;
}

}  // namespace kvla

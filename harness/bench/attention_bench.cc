// SPDX-License-Identifier: Apache-2.0
#include "harness/bench/attention_bench.h"

#include <ATen/ops/_scaled_dot_product_flash_attention_for_cpu.h>
#include <ATen/ops/from_blob.h>
#include <c10/core/InferenceMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <list>
#include <optional>
#include <string>

#include "base/rng.h"
#include "kv_efficient/attention/ragged_attention.h"

namespace kvla {
namespace {

constexpr int64_t kMostBytes = int64_t{4} << 30;

void Fill(uint64_t seed, std::vector<float>* values) {
  Rng rng(seed);
  for (float& x : *values) x = static_cast<float>(2 * rng.Uniform() - 1);
}

// Where a layer's lanes lie one after the other: all of one length, or not.
std::vector<int> EqualLanes(int lanes, int tokens) { return std::vector<int>(lanes, tokens); }
std::vector<int> RaggedLanes(int lanes, int tokens) {
  std::vector<int> lengths(lanes, tokens);
  for (int lane = 0; lane + 1 < lanes; lane += 2) {
    lengths[lane] = tokens / 2;
    lengths[lane + 1] = 2 * tokens - tokens / 2;
  }
  return lengths;
}

// One layer: queries, keys and values of so many tokens a lane.
class Layer {
 public:
  Layer(const AttentionBenchOptions& options, int tokens)
      : kv_heads_(options.kv_heads),
        rows_(options.rows),
        width_(options.head_dim),
        tokens_(tokens),
        keys_(static_cast<size_t>(kv_heads_) * tokens * width_),
        values_(keys_.size()),
        queries_(static_cast<size_t>(kv_heads_) * rows_ * width_),
        transposed_(static_cast<size_t>(kv_heads_) * width_ * PaddedRows(rows_)),
        out_(transposed_.size()),
        log_sum_exp_(PaddedRows(rows_)) {
    Fill(1, &keys_);
    Fill(2, &values_);
    Fill(3, &queries_);
    const float scale = 1 / std::sqrt(static_cast<float>(width_));
    for (int lane = 0; lane < kv_heads_; ++lane) {
      for (int row = 0; row < rows_; ++row) {
        for (int d = 0; d < width_; ++d) {
          At(&transposed_, lane, row, d) = Query(lane, row, d) * scale;
        }
      }
    }
  }

  // All lanes, `far_share` of a lane in the far region.
  void Attend(const AttentionKernels& kernels, const std::vector<int>& lengths, double far_share) {
    const int64_t block = int64_t{width_} * PaddedRows(rows_);
    int64_t begin = 0;
    for (int lane = 0; lane < kv_heads_; ++lane) {
      const int far = static_cast<int>(far_share * lengths[lane]);
      AttentionJob job;
      job.far = Region(begin, far, transposed_.data() + lane * block);
      job.near = Region(begin + far, lengths[lane] - far, transposed_.data() + lane * block);
      job.head_dim = width_;
      job.rows = rows_;
      job.out = out_.data() + lane * block;
      job.log_sum_exp = log_sum_exp_.data();
      kernels.attend(job);
      begin += lengths[lane];
    }
  }

  void AttendByLibTorch() {
    const c10::InferenceMode inference;
    reference_ = std::get<0>(at::_scaled_dot_product_flash_attention_for_cpu(
        Tensor(&queries_, rows_), Tensor(&keys_, tokens_), Tensor(&values_, tokens_)));
  }

  // Between what the last calls of both computed, with lanes of one length.
  double LargestDifference() {
    const at::Tensor reference = reference_.contiguous();
    const float* want = reference.const_data_ptr<float>();
    double largest = 0;
    for (int lane = 0; lane < kv_heads_; ++lane) {
      for (int row = 0; row < rows_; ++row) {
        for (int d = 0; d < width_; ++d, ++want) {
          largest = std::max<double>(largest, std::abs(At(&out_, lane, row, d) - *want));
        }
      }
    }
    return largest;
  }

  double flops() const { return 4.0 * kv_heads_ * rows_ * tokens_ * width_; }
  double bytes() const { return 2.0 * static_cast<double>(keys_.size()) * sizeof(float); }

 private:
  float& At(std::vector<float>* transposed, int lane, int row, int d) const {
    return (*transposed)[(static_cast<size_t>(lane) * width_ + d) * PaddedRows(rows_) + row];
  }
  float Query(int lane, int row, int d) const {
    return queries_[(static_cast<size_t>(lane) * rows_ + row) * width_ + d];
  }
  KvRegion Region(int64_t begin, int tokens, const float* queries) const {
    KvRegion region;
    region.keys = keys_.data() + begin * width_;
    region.values = values_.data() + begin * width_;
    region.tokens = tokens;
    region.queries = queries;
    return region;
  }
  at::Tensor Tensor(std::vector<float>* values, int tokens) const {
    return at::from_blob(values->data(), {1, kv_heads_, tokens, width_});
  }

  int kv_heads_, rows_, width_, tokens_;
  std::vector<float> keys_, values_;  // [kv_heads, tokens, head_dim]
  std::vector<float> queries_;        // [kv_heads, rows, head_dim]
  std::vector<float> transposed_;     // scaled, [kv_heads, head_dim, padded rows]
  std::vector<float> out_;            // the same layout
  std::vector<float> log_sum_exp_;
  at::Tensor reference_;
};

// One line of the table.
struct Point {
  const AttentionKernels* kernels = nullptr;
  Samples one_region, two_regions, ragged;
  double difference = 0;
};

struct Length {
  Length(const AttentionBenchOptions& options, int tokens)
      : tokens(tokens),
        layer(options, tokens),
        equal(EqualLanes(options.kv_heads, tokens)),
        ragged(RaggedLanes(options.kv_heads, tokens)) {
    for (const AttentionKernels* kernels : AllCpuAttention()) {
      points.emplace_back().kernels = kernels;
    }
  }
  int tokens;
  Layer layer;
  std::vector<int> equal, ragged;
  Samples libtorch;
  std::vector<Point> points;  // by vector width
};

void AddTurns(Length* length, std::vector<Turn>* turns) {
  Layer* layer = &length->layer;
  turns->push_back(Repeat([layer] { layer->AttendByLibTorch(); }, &length->libtorch));
  for (Point& point : length->points) {
    const AttentionKernels& kernels = *point.kernels;
    const auto attend = [&kernels, layer](const std::vector<int>& lengths, double far_share) {
      return [&kernels, layer, &lengths, far_share] { layer->Attend(kernels, lengths, far_share); };
    };
    const auto compare = [&point, layer](bool) {
      point.difference = std::max(point.difference, layer->LargestDifference());
      return Status();
    };
    turns->push_back(Repeat(attend(length->equal, 0), &point.one_region));
    turns->emplace_back(compare);
    turns->push_back(Repeat(attend(length->equal, 0.5), &point.two_regions));
    turns->emplace_back(compare);
    if (length->ragged == length->equal) continue;
    turns->push_back(Repeat(attend(length->ragged, 0), &point.ragged));
  }
}

nlohmann::json Row(const AttentionBenchOptions& options, const Length& length, const Point& point,
                   const MachineLimits& limits) {
  const double seconds = point.one_region.median() / 1000;
  const double flops_per_s = length.layer.flops() / seconds;
  const double bytes_per_s = length.layer.bytes() / seconds;
  nlohmann::json row = {{"tokens", length.tokens},
                        {"kv_heads", options.kv_heads},
                        {"rows", options.rows},
                        {"head_dim", options.head_dim},
                        {"vectors", point.kernels->name},
                        {"samples", point.one_region.count()},
                        {"mflop", length.layer.flops() / 1e6},
                        {"kv_mbyte", length.layer.bytes() / 1e6},
                        {"gflop_per_s", flops_per_s / 1e9},
                        {"gemm_share", flops_per_s / limits.flops_per_s()},
                        {"gbyte_per_s", bytes_per_s / 1e9},
                        {"copy_share", bytes_per_s / limits.bytes_per_s()},
                        {"largest_difference", point.difference}};
  PutTimes("libtorch", length.libtorch, &row);
  PutTimes("one_region", point.one_region, &row);
  PutTimes("two_regions", point.two_regions, &row);
  row["one_region_ratio_to_libtorch"] = Ratio(point.one_region, length.libtorch);
  row["two_regions_ratio_to_libtorch"] = Ratio(point.two_regions, length.libtorch);
  if (point.ragged.count() > 0) {
    PutTimes("ragged", point.ragged, &row);
    row["ragged_ratio_to_equal"] = Ratio(point.ragged, point.one_region);
    row["ragged_ratio_to_libtorch"] = Ratio(point.ragged, length.libtorch);
  }
  return row;
}

}  // namespace

Result<BenchReport> BenchAttention(const AttentionBenchOptions& options) {
  int64_t bytes = 0;
  for (const int tokens : options.tokens) {
    bytes += int64_t{2} * options.kv_heads * tokens * options.head_dim * sizeof(float);
  }
  if (bytes == 0) return BadInput("nothing to measure: give a number of tokens");
  if (bytes > kMostBytes) {
    return BadInput(fmt::format(
        "keys and values of all lengths together take {:.1f} GiB; 4 GiB are the most that is "
        "measured: ask for fewer tokens, heads or a smaller width",
        static_cast<double>(bytes) / (1 << 30)));
  }
  try {
    MachineLimits limits;
    std::vector<Turn> turns = limits.turns();
    std::list<Length> lengths;  // stays where it is
    for (const int tokens : options.tokens) {
      AddTurns(&lengths.emplace_back(options, tokens), &turns);
    }
    if (Status status = TakeTurns(turns, options.seconds); !status.ok()) return status;
    BenchReport report{limits.Json()};
    for (const Length& length : lengths) {
      for (const Point& point : length.points) {
        report.rows.push_back(Row(options, length, point, limits));
      }
    }
    return report;
  } catch (const c10::Error& e) {
    return InternalError(fmt::format("bench: {}", e.what_without_backtrace()));
  }
}

}  // namespace kvla

// SPDX-License-Identifier: Apache-2.0
// Lanes of pages with random contents, and what attention over them is in double: for the block
// function on the host and on a device.
#ifndef KVLA_TESTS_KV_EFFICIENT_ATTENTION_PAGED_CASE_H_
#define KVLA_TESTS_KV_EFFICIENT_ATTENTION_PAGED_CASE_H_

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "base/rng.h"
#include "kv_efficient/attention/block_job.h"

namespace kvla {

struct PageKind {
  KvFormat format = KvFormat::kF32;
  int tokens = 0;
  bool bias = false;
};

struct TestPage {
  struct alignas(16) Chunk {
    std::byte of[16];
  };
  PageKind kind;
  std::vector<Chunk> data;
  std::vector<float> bias;          // empty: none
  std::vector<float> keys, values;  // as they are read
};

struct TestLane {
  std::vector<TestPage> pages;  // the far ones first
  int far_pages = 0;
  std::vector<float> far_queries, near_queries;  // [rows, head_dim]
};

struct Attended {
  std::vector<double> out, log_sum_exp;  // [rows, head_dim], [rows]
  double score = 0;                      // the largest in size: rounding grows with it
};

// How far an answer in f32 may be from that.
inline double Tolerance(const Attended& want) { return 1e-5 + 2e-6 * want.score; }

struct PagedCase {
  // Each lane: its far pages, its near pages.
  PagedCase(int head_dim, int page_tokens, int rows,
            const std::vector<std::pair<std::vector<PageKind>, std::vector<PageKind>>>& kinds,
            uint64_t seed)
      : shape{head_dim, page_tokens, rows, KvFormat::kInt4} {
    Rng rng(seed);
    const auto random = [&](int64_t n, double size) {
      std::vector<float> numbers(n);
      for (float& x : numbers) x = static_cast<float>(rng.Normal() * size);
      return numbers;
    };
    const int64_t queries = int64_t{rows} * head_dim;
    for (const auto& [far, near] : kinds) {
      TestLane lane;
      lane.far_pages = static_cast<int>(far.size());
      lane.far_queries = random(queries, 1 / std::sqrt(head_dim));
      lane.near_queries = random(queries, 1 / std::sqrt(head_dim));
      for (const std::vector<PageKind>* region : {&far, &near}) {
        for (const PageKind& kind : *region) {
          TestPage page;
          page.kind = kind;
          shape.widest = std::min(shape.widest, kind.format);
          const KvPageLayout layout{kind.format, head_dim, page_tokens};
          page.keys = random(int64_t{kind.tokens} * head_dim, 1);
          page.values = random(int64_t{kind.tokens} * head_dim, 1);
          for (int t = 0; kind.bias && t < kind.tokens; ++t) {
            page.bias.push_back(std::log(1.0F + static_cast<float>(t % 4)));
          }
          page.data.resize(layout.bytes() / sizeof(TestPage::Chunk));
          EncodePage(layout, page.keys, page.values, kind.tokens,
                     std::as_writable_bytes(std::span(page.data)));
          DecodePage(layout, std::as_bytes(std::span(page.data)), kind.tokens, page.keys,
                     page.values);
          lane.pages.push_back(std::move(page));
        }
      }
      lanes.push_back(std::move(lane));
    }
  }

  // Softmax attention as it is written down, over what the pages decode to.
  Attended Oracle(int lane_index) const {
    const TestLane& lane = lanes[lane_index];
    const int width = shape.head_dim;
    Attended want;
    for (int row = 0; row < shape.rows; ++row) {
      std::vector<double> scores, out(width, 0);
      std::vector<const float*> values;
      for (size_t p = 0; p < lane.pages.size(); ++p) {
        const TestPage& page = lane.pages[p];
        const bool far = static_cast<int>(p) < lane.far_pages;
        const float* query = (far ? lane.far_queries : lane.near_queries).data() + row * width;
        for (int t = 0; t < page.kind.tokens; ++t) {
          double score = page.bias.empty() ? 0 : page.bias[t];
          for (int d = 0; d < width; ++d) score += double{query[d]} * page.keys[t * width + d];
          want.score = std::max(want.score, std::abs(score));
          scores.push_back(score);
          values.push_back(page.values.data() + t * width);
        }
      }
      double top = -std::numeric_limits<double>::infinity(), sum = 0;
      for (const double score : scores) top = std::max(top, score);
      for (size_t i = 0; i < scores.size(); ++i) {
        const double weight = std::exp(scores[i] - top);
        sum += weight;
        for (int d = 0; d < width; ++d) out[d] += weight * values[i][d];
      }
      for (const double x : out) want.out.push_back(scores.empty() ? 0 : x / sum);
      want.log_sum_exp.push_back(scores.empty() ? top : top + std::log(sum));
    }
    return want;
  }

  PagedShape shape;
  std::vector<TestLane> lanes;
};

// The matrix that host and device both go through.
template <class F>
void ForEachPagedCase(const F& f) {
  using Pages = std::vector<PageKind>;
  uint64_t seed = 1;
  for (const KvFormat format : kKvFormats) {
    const auto pages = [&](std::initializer_list<int> tokens, bool bias) {
      Pages all;
      for (const int n : tokens) all.push_back({format, n, bias});
      return all;
    };
    for (const int width : {32, 64, 96, 128, 256}) {
      for (const int rows : {1, 2, 3, 4, 5, 6, 7, 8, 19}) {  // groups of 1 to 8; more than a tile
        // Page sizes below, at and above what one tile holds; ragged lanes, empty ones among them.
        for (const int page_tokens : {1, 3, 16, 40, 150}) {
          if (page_tokens != 16 && rows != 1 && rows != 8) continue;
          const int part = (page_tokens + 1) / 2;
          f(PagedCase(width, page_tokens, rows,
                      {{pages({page_tokens, part, page_tokens}, true), pages({page_tokens}, false)},
                       {{}, pages({1}, false)},
                       {pages({1}, false), {}},
                       {{}, {}},
                       {pages({0}, false), pages({0}, true)},
                       {pages({page_tokens, 0, part}, false), pages({part, part}, true)}},
                      seed++));
        }
      }
    }
  }
  // Formats that change from page to page.
  Pages mixed;
  for (int i = 0; i < 12; ++i) mixed.push_back({kKvFormats[i * 7 % 4], 32 - i, i % 3 == 0});
  f(PagedCase(64, 32, 8, {{mixed, {{KvFormat::kF32, 20}}}, {{}, mixed}}, seed));
}

}  // namespace kvla

#endif  // KVLA_TESTS_KV_EFFICIENT_ATTENTION_PAGED_CASE_H_

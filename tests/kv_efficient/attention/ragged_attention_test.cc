// SPDX-License-Identifier: Apache-2.0
// Ragged attention at every vector width against plain softmax attention in double, and bit for bit
// against vectors of one lane.
#include "kv_efficient/attention/ragged_attention.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kv_efficient/attention/attention_tiles.h"
#include "tests/kernels/random_values.h"
#include "tests/kernels/scalar_vectors.h"

namespace kvla {
namespace {

constexpr AttentionKernels kScalar = AttentionTiles<ScalarVectors>::Table("scalar");

struct Region {
  Region(int tokens, int width, int rows, bool counts, uint64_t seed)
      : keys(RandomValues(static_cast<size_t>(tokens) * width, seed)),
        values(RandomValues(static_cast<size_t>(tokens) * width, seed + 1)),
        queries(static_cast<size_t>(width) * PaddedRows(rows), 0) {
    const std::vector<float> q = RandomValues(static_cast<size_t>(rows) * width, seed + 2);
    for (int r = 0; r < rows; ++r) {
      for (int d = 0; d < width; ++d) {
        queries[d * PaddedRows(rows) + r] = q[r * width + d] / std::sqrt(static_cast<float>(width));
      }
    }
    for (int t = 0; counts && t < tokens; ++t) bias.push_back(std::log(1.0F + t % 4));
    this->tokens = tokens;
  }
  KvRegion View() const {
    return {keys.data(), values.data(), bias.empty() ? nullptr : bias.data(), tokens,
            queries.data()};
  }
  std::vector<float> keys, values, bias, queries;
  int tokens;
};

struct Answer {
  std::vector<float> out, lse, far_mass, near_mass;
  bool operator==(const Answer&) const = default;
};

Answer Attended(const AttentionKernels& kernels, const Region& far, const Region& near, int width,
                int rows, const std::vector<EncodedPage>* far_pages = nullptr,
                float* scratch = nullptr) {
  Answer a;
  a.out.resize(static_cast<size_t>(width) * PaddedRows(rows));
  a.lse.resize(PaddedRows(rows));
  a.far_mass.resize(far.tokens);
  a.near_mass.resize(near.tokens);
  AttentionJob job;
  job.far = far.View();
  if (far_pages != nullptr) {
    job.far.keys = job.far.values = nullptr;
    job.far.pages = far_pages->data();
    job.far.page_count = static_cast<int>(far_pages->size());
    job.far.scratch = scratch;
  }
  job.near = near.View();
  job.head_dim = width;
  job.rows = rows;
  job.out = a.out.data();
  job.log_sum_exp = a.lse.data();
  kernels.attend(job);
  kernels.key_mass(job.far, width, rows, a.lse.data(), a.far_mass.data());
  kernels.key_mass(job.near, width, rows, a.lse.data(), a.near_mass.data());
  // What stands in the padding is nobody's business.
  const int stride = PaddedRows(rows);
  for (int r = rows; r < stride; ++r) {
    for (int d = 0; d < width; ++d) a.out[d * stride + r] = 0;
    a.lse[r] = 0;
  }
  return a;
}

void Check(const Answer& a, const Region& far, const Region& near, int width, int rows) {
  const int stride = PaddedRows(rows);
  std::vector<double> mass(far.tokens + near.tokens, 0);
  double tolerance = 1e-5;
  for (int r = 0; r < rows; ++r) {
    std::vector<double> scores, out(width, 0);
    for (const Region* region : {&far, &near}) {
      for (int t = 0; t < region->tokens; ++t) {
        double score = region->bias.empty() ? 0 : region->bias[t];
        for (int d = 0; d < width; ++d) {
          score += double{region->queries[d * stride + r]} * region->keys[t * width + d];
        }
        scores.push_back(score);
        // A score's rounding grows with it.
        tolerance = std::max(tolerance, 1e-6 * std::abs(score));
      }
    }
    const double top = *std::max_element(scores.begin(), scores.end());
    double sum = 0;
    for (size_t i = 0; i < scores.size(); ++i) {
      const double weight = std::exp(scores[i] - top);
      const bool is_far = static_cast<int>(i) < far.tokens;
      const float* value =
          is_far ? far.values.data() + i * width : near.values.data() + (i - far.tokens) * width;
      sum += weight;
      for (int d = 0; d < width; ++d) out[d] += weight * value[d];
    }
    for (int d = 0; d < width; ++d) EXPECT_NEAR(a.out[d * stride + r], out[d] / sum, tolerance);
    EXPECT_NEAR(a.lse[r], top + std::log(sum), tolerance);
    for (size_t t = 0; t < scores.size(); ++t) mass[t] += std::exp(scores[t] - top) / sum;
  }
  for (int t = 0; t < far.tokens; ++t) EXPECT_NEAR(a.far_mass[t], mass[t], rows * tolerance);
  for (int t = 0; t < near.tokens; ++t) {
    EXPECT_NEAR(a.near_mass[t], mass[far.tokens + t], rows * tolerance);
  }
}

TEST(RaggedAttentionTest, IsSoftmaxOverBothRegionsAtEveryEdge) {
  uint64_t seed = 1;
  for (const int width : {2, 6, 32, 64}) {
    for (const int rows : {1, 3, 8, 9, 16, 17, 24, 33}) {
      for (const auto& [far_tokens, near_tokens] :
           {std::pair{0, 1}, {1, 0}, {1, 1}, {5, 63}, {64, 64}, {65, 7}, {200, 129}}) {
        const Region far(far_tokens, width, rows, seed % 2 == 0, seed);
        const Region near(near_tokens, width, rows, false, seed + 3);
        seed += 7;
        ScalarVectors::Flops() = 0;
        const Answer want = Attended(kScalar, far, near, width, rows);
        // q.k and p.v; the exponentials take eight a key and row, the mass q.k and one of them.
        const double keys = static_cast<double>(rows) * (far_tokens + near_tokens);
        EXPECT_GE(ScalarVectors::Flops(), keys * (6 * width + 32));
        Check(want, far, near, width, rows);
        for (const AttentionKernels* kernels : AllCpuAttention()) {
          EXPECT_TRUE(Attended(*kernels, far, near, width, rows) == want)
              << kernels->name << ": " << width << " wide, " << rows << " rows, " << far_tokens
              << " and " << near_tokens << " tokens";
        }
      }
    }
  }
}

TEST(RaggedAttentionTest, ScoresOfAnySize) {
  for (const AttentionKernels* kernels : AllCpuAttention()) {
    Region far(70, 8, 4, false, 5), near(70, 8, 4, false, 9);
    for (float& k : near.keys) k *= 60;  // the largest come late, and far apart
    const Answer a = Attended(*kernels, far, near, 8, 4);
    for (const float x : a.out) EXPECT_TRUE(std::isfinite(x));
    Check(a, far, near, 8, 4);
  }
}

// Pages of any type: as the rows that they decode to, and alike at every width.
TEST(RaggedAttentionTest, ReadsEncodedPages) {
  uint64_t seed = 50;
  for (const KvFormat format : kKvFormats) {
    for (const int width : {2, 7, 16, 40, 64}) {
      const int rows = 5;
      Region far(150, width, rows, true, ++seed), near(9, width, rows, false, seed + 5);
      std::vector<std::vector<std::byte>> data;
      std::vector<EncodedPage> pages;
      std::vector<float> scratch(size_t{2} * kTileKeys * width);
      int first = 0;
      for (const int tokens : {1, 64, 70, 15}) {  // a page may be more than a tile
        const KvPageLayout layout{format, width, tokens};
        const std::span<float> keys(far.keys.data() + first * width, tokens * width);
        const std::span<float> values(far.values.data() + first * width, tokens * width);
        data.emplace_back(layout.bytes());
        EncodePage(layout, keys, values, tokens, data.back());
        pages.push_back({reinterpret_cast<const uint8_t*>(data.back().data()), layout, tokens});
        DecodePage(layout, data.back(), tokens, keys, values);  // what the oracle sees
        first += tokens;
      }
      const auto attended = [&](const AttentionKernels& kernels) {
        return Attended(kernels, far, near, width, rows, &pages, scratch.data());
      };
      const Answer want = attended(kScalar);
      Check(want, far, near, width, rows);
      for (const AttentionKernels* kernels : AllCpuAttention()) {
        EXPECT_TRUE(attended(*kernels) == want)
            << kernels->name << " " << KvFormatName(format) << " " << width;
      }
    }
  }
}

TEST(RaggedAttentionTest, AQueryComesOutAlikeWhateverOthersComeWithIt) {
  const int width = 16, rows = 21;
  const Region far(90, width, rows, true, 3), near(40, width, rows, false, 7);
  for (const AttentionKernels* kernels : AllCpuAttention()) {
    const Answer all = Attended(*kernels, far, near, width, rows);
    for (int r = 0; r < rows; ++r) {
      Region far_one = far, near_one = near;
      for (Region* region : {&far_one, &near_one}) {
        const std::vector<float> queries = region->queries;
        region->queries.assign(static_cast<size_t>(width) * PaddedRows(1), 0);
        for (int d = 0; d < width; ++d) {
          region->queries[d * PaddedRows(1)] = queries[d * PaddedRows(rows) + r];
        }
      }
      const Answer one = Attended(*kernels, far_one, near_one, width, 1);
      EXPECT_EQ(one.lse[0], all.lse[r]) << kernels->name;
      for (int d = 0; d < width; ++d) {
        EXPECT_EQ(one.out[d * PaddedRows(1)], all.out[d * PaddedRows(rows) + r]) << kernels->name;
      }
    }
  }
}

TEST(RaggedAttentionTest, WhatIsNoNumberStaysNone) {
  for (const AttentionKernels* kernels : AllCpuAttention()) {
    for (const bool in_key : {true, false}) {
      Region far(3, 8, 4, false, 5), near(70, 8, 4, false, 9);
      (in_key ? near.keys : near.values)[100] = std::numeric_limits<float>::quiet_NaN();
      const Answer a = Attended(*kernels, far, near, 8, 4);
      EXPECT_TRUE(std::isnan(a.out[100 % 8 * PaddedRows(4)])) << kernels->name << in_key;
    }
  }
}

}  // namespace
}  // namespace kvla

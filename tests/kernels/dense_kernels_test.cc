// SPDX-License-Identifier: Apache-2.0
// Every kernel at every vector width against plain arithmetic in double, and bit for bit against
// vectors of one lane.
#include "kernels/dense_kernels.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "tests/kernels/random_values.h"
#include "tests/kernels/scalar_vectors.h"

namespace kvla {
namespace {

constexpr Kernels kScalar = DenseKernels<ScalarVectors>::Table("scalar");

// To what half precision holds.
std::vector<float> Halved(std::vector<float> values) {
  for (float& x : values) x = _cvtsh_ss(_cvtss_sh(x, _MM_FROUND_TO_NEAREST_INT));
  return values;
}

TEST(DenseKernelsTest, TheWidestThatTheCpuRunsIsUsed) {
  ASSERT_FALSE(AllKernels().empty());
  EXPECT_STREQ(AllKernels().front()->name, "avx2");
  EXPECT_EQ(&CpuKernels(), AllKernels().back());
}

// Rows that take every tile, outputs that fill panels and do not, weights in half and in full.
TEST(DenseKernelsTest, LinearMapsAreProducts) {
  for (const int rows : {1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 19}) {
    for (const auto& size : {std::pair{1, 1}, {5, 7}, {16, 33}, {130, 24}, {272, 9}}) {
      const int outputs = size.first, inputs = size.second;
      const int padded = (outputs + 15) / 16 * 16;
      for (const bool half : {true, false}) {
        std::vector<float> weight = RandomValues(static_cast<size_t>(outputs) * inputs, 1);
        if (half) weight = Halved(std::move(weight));
        const std::vector<float> bias = RandomValues(outputs, 2);
        const std::vector<float> x = RandomValues(static_cast<size_t>(rows) * (inputs + 3), 3);
        const PackedMatrix packed(weight, bias, outputs, inputs);
        ASSERT_EQ(packed.half(), half);
        const int64_t stride = outputs + 2;
        for (const bool add : {false, true}) {
          const std::vector<float> before = RandomValues(rows * stride, 4);
          const auto run = [&](const Kernels& kernels, int first, int count) {
            std::vector<float> out = before;
            kernels.linear({.weight = packed.view(),
                            .x = x.data() + static_cast<ptrdiff_t>(first) * (inputs + 3),
                            .rows = count,
                            .row_stride = inputs + 3,
                            .out = out.data() + first * stride,
                            .out_stride = stride,
                            .add = add});
            return out;
          };
          ScalarVectors::Flops() = 0;
          const std::vector<float> want = run(kScalar, 0, rows);
          // Padding outputs are computed, too.
          EXPECT_EQ(ScalarVectors::Flops(), 2.0 * rows * inputs * padded);
          for (int r = 0; r < rows; ++r) {
            for (int64_t o = 0; o < stride; ++o) {
              double sum = before[r * stride + o];
              if (o < outputs) {
                sum = bias[o] + (add ? sum : 0.0);
                for (int i = 0; i < inputs; ++i) {
                  sum += double{weight[o * inputs + i]} * x[r * (inputs + 3) + i];
                }
              }
              EXPECT_NEAR(want[r * stride + o], sum, 2e-5) << r << " " << o;
            }
          }
          for (const Kernels* kernels : AllKernels()) {
            EXPECT_EQ(run(*kernels, 0, rows), want) << kernels->name << " " << rows;
            // A row comes out alike whatever others come with it.
            const std::vector<float> last = run(*kernels, rows - 1, 1);
            for (int64_t o = (rows - 1) * stride; o < rows * stride; ++o) {
              EXPECT_EQ(last[o], want[o]) << kernels->name << " " << rows;
            }
          }
        }
      }
    }
  }
}

// 3 x 3 with stride 2 over a padded channels-last image of 6 x 8, two channels.
TEST(DenseKernelsTest, ConvolutionsAreLinearMapsOfRowsThatOverlap) {
  const int height = 6, width = 8, channels = 2, kernel = 3, stride = 2, outputs = 5;
  const std::vector<float> image = RandomValues(static_cast<size_t>(height) * width * channels, 5);
  const std::vector<float> weight =
      RandomValues(static_cast<size_t>(outputs) * kernel * kernel * channels, 6);
  const PackedMatrix packed(weight, {}, outputs, kernel * kernel * channels);
  const int out_height = 2, out_width = 3;
  for (const Kernels* kernels : AllKernels()) {
    std::vector<float> out(static_cast<size_t>(out_height) * out_width * outputs);
    kernels->linear({.weight = packed.view(),
                     .x = image.data(),
                     .rows = out_height * out_width,
                     .row_stride = stride * channels,
                     .out = out.data(),
                     .out_stride = outputs,
                     .segments = kernel,
                     .segment = kernel * channels,
                     .segment_stride = width * channels,
                     .grid = out_width,
                     .grid_stride = stride * width * channels});
    for (int y = 0; y < out_height; ++y) {
      for (int x = 0; x < out_width; ++x) {
        for (int o = 0; o < outputs; ++o) {
          double sum = 0;
          for (int ky = 0; ky < kernel; ++ky) {
            for (int kx = 0; kx < kernel; ++kx) {
              for (int c = 0; c < channels; ++c) {
                sum += double{weight[((o * kernel + ky) * kernel + kx) * channels + c]} *
                       image[((y * stride + ky) * width + x * stride + kx) * channels + c];
              }
            }
          }
          EXPECT_NEAR(out[(y * out_width + x) * outputs + o], sum, 1e-5);
        }
      }
    }
  }
}

double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

TEST(DenseKernelsTest, NormsAndActivations) {
  for (const int width : {1, 7, 16, 33, 48, 128}) {
    const int rows = 3;
    const std::vector<float> x = RandomValues(static_cast<size_t>(rows) * width, 7);
    const std::vector<float> weight = RandomValues(width, 8), bias = RandomValues(width, 9);
    for (const bool rms : {false, true}) {
      for (const bool silu : {false, true}) {
        const auto run = [&](const Kernels& kernels) {
          std::vector<float> out = x;
          (rms ? kernels.rms_norm : kernels.layer_norm)({.x = out.data(),
                                                         .rows = rows,
                                                         .width = width,
                                                         .weight = weight.data(),
                                                         .bias = rms ? nullptr : bias.data(),
                                                         .epsilon = 1e-5F,
                                                         .out = out.data(),
                                                         .silu = silu});
          return out;
        };
        const std::vector<float> want = run(kScalar);
        for (int r = 0; r < rows; ++r) {
          double mean = 0, square = 0;
          for (int i = 0; i < width; ++i) mean += rms ? 0 : x[r * width + i] / double(width);
          for (int i = 0; i < width; ++i) square += std::pow(x[r * width + i] - mean, 2) / width;
          for (int i = 0; i < width; ++i) {
            double y = (x[r * width + i] - mean) / std::sqrt(square + 1e-5) * weight[i];
            y += rms ? 0 : bias[i];
            if (silu) y *= Sigmoid(y);
            EXPECT_NEAR(want[r * width + i], y, 2e-5) << width << " " << rms << silu;
          }
        }
        for (const Kernels* kernels : AllKernels()) EXPECT_EQ(run(*kernels), want) << width;
      }
    }
    const auto products = [&](const Kernels& kernels) {
      std::vector<float> out(static_cast<size_t>(width)), in_place = RandomValues(2 * width, 10);
      kernels.silu_product(in_place.data(), 1, width, out.data());
      std::vector<float> gelu = in_place;
      kernels.silu(in_place.data(), 2 * width);
      kernels.gelu(gelu.data(), 2 * width);
      out.insert(out.end(), in_place.begin(), in_place.end());
      out.insert(out.end(), gelu.begin(), gelu.end());
      return out;
    };
    const std::vector<float> gate_up = RandomValues(2 * width, 10), want = products(kScalar);
    for (int i = 0; i < width; ++i) {
      EXPECT_NEAR(want[i], gate_up[i] * Sigmoid(gate_up[i]) * gate_up[width + i], 1e-5);
    }
    for (int i = 0; i < 2 * width; ++i) {
      EXPECT_NEAR(want[width + i], gate_up[i] * Sigmoid(gate_up[i]), 1e-6);
    }
    for (int i = 0; i < 2 * width; ++i) {
      const double x = gate_up[i];
      EXPECT_NEAR(want[3 * width + i], x * (1 + std::erf(x * std::sqrt(0.5))) / 2, 1e-6);
    }
    for (const Kernels* kernels : AllKernels()) EXPECT_EQ(products(*kernels), want) << width;
  }
}

TEST(DenseKernelsTest, TheExponentialIsExact) {
  EXPECT_EQ(Exp<ScalarVectors>(0.0F), 1.0F);
  for (float x = -87; x < 88; x += 0.0137F) {
    EXPECT_NEAR(Exp<ScalarVectors>(x) / std::exp(double{x}), 1, 2.5e-7) << x;
  }
  EXPECT_NEAR(Exp<ScalarVectors>(-1e30F), 0, 1e-37);
  EXPECT_TRUE(std::isnan(Exp<ScalarVectors>(std::numeric_limits<float>::quiet_NaN())));
}

// A policy that has lost its way says so; no kernel may turn that into a number.
TEST(DenseKernelsTest, WhatIsNoNumberStaysNone) {
  for (const Kernels* kernels : AllKernels()) {
    for (const float bad :
         {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
      std::vector<float> x(40, 1.0F), weight(40, 1.0F);
      x[21] = bad;
      kernels->rms_norm({.x = x.data(),
                         .rows = 1,
                         .width = 40,
                         .weight = weight.data(),
                         .bias = nullptr,
                         .epsilon = 1e-5F,
                         .out = x.data(),
                         .silu = true});
      EXPECT_TRUE(std::isnan(x[21])) << kernels->name;
    }
  }
}

}  // namespace
}  // namespace kvla

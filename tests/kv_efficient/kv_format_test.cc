// SPDX-License-Identifier: Apache-2.0
#include "kv_efficient/kv_format.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "base/rng.h"

namespace kvla {
namespace {

struct Page {
  Page(KvFormat format, int width, int capacity, int tokens, uint64_t seed)
      : layout{format, width, capacity}, tokens(tokens) {
    Rng rng(seed);
    for (std::vector<float>* rows : {&keys, &values}) {
      for (int i = 0; i < tokens * width; ++i) {
        // Channels of different size and place, as keys have them.
        rows->push_back(
            static_cast<float>(rng.Normal() * (1 + i % width % 5) + 3 * (i % width % 3)));
      }
    }
  }
  // Encodes, and decodes into what is returned: keys, then values.
  std::vector<float> Back() {
    bytes.assign(layout.bytes(), std::byte{0xA5});
    EncodePage(layout, keys, values, tokens, bytes);
    std::vector<float> back(2 * keys.size());
    DecodePage(layout, bytes, tokens, std::span(back).first(keys.size()),
               std::span(back).last(keys.size()));
    return back;
  }
  KvPageLayout layout;
  int tokens;
  std::vector<float> keys, values;
  std::vector<std::byte> bytes;
};

// Half a step of what was encoded together, and the rounding of f32.
double Bound(const float* x, int n, int stride, int steps) {
  double low = x[0], high = x[0];
  for (int i = 0; i < n; ++i) {
    low = std::min<double>(low, x[i * stride]);
    high = std::max<double>(high, x[i * stride]);
  }
  const double size = std::max(std::abs(low), std::abs(high));
  return (high - low) / steps / 2 + 2e-7 * (size + high - low);
}

TEST(KvFormatTest, NamesAreThoseOfConfigs) {
  for (const KvFormat format : kKvFormats) EXPECT_EQ(KvFormatNamed(KvFormatName(format)), format);
  EXPECT_EQ(KvFormatName(KvFormat::kBf16), "bf16");
  EXPECT_EQ(KvFormatName(KvFormat::kInt4), "int4");
  EXPECT_FALSE(KvFormatNamed("f16").has_value());
  EXPECT_FALSE(KvFormatNamed("").has_value());
}

TEST(KvFormatTest, APageTakesExactlyWhatItsLayoutSays) {
  const auto bytes = [](KvFormat format, int width, int tokens) {
    return KvPageLayout{format, width, tokens}.bytes();
  };
  EXPECT_EQ(bytes(KvFormat::kF32, 64, 32), 2 * 64 * 32 * 4);
  EXPECT_EQ(bytes(KvFormat::kBf16, 64, 32), 2 * 64 * 32 * 2);
  EXPECT_EQ(bytes(KvFormat::kInt8, 64, 32), 2 * 64 * 32 + 2 * (64 + 32) * 4);
  EXPECT_EQ(bytes(KvFormat::kInt4, 64, 32), 64 * 32 + 2 * (64 + 32) * 4);
  // 3 bytes a row of 5 codes, 21 a section; 5 and 7 floats take 32 bytes.
  const KvPageLayout odd{KvFormat::kInt4, 5, 7};
  EXPECT_EQ(odd.row_bytes(), 3);
  EXPECT_EQ(odd.values(), 32);
  EXPECT_EQ(odd.key_scales(), 64);
  EXPECT_EQ(odd.key_zeros(), 96);
  EXPECT_EQ(odd.value_scales(), 128);
  EXPECT_EQ(odd.value_zeros(), 160);
  EXPECT_EQ(odd.bytes(), 192);
}

TEST(KvFormatTest, WhatComesBackIsWithinHalfAStep) {
  for (const KvFormat format : kKvFormats) {
    for (const int width : {1, 5, 32, 64}) {
      for (const int tokens : {1, 3, 16}) {
        Page page(format, width, 16, tokens, width + tokens);
        const std::vector<float> back = page.Back();
        const int steps = (1 << std::min(BitsOf(format), 8)) - 1;
        for (int i = 0; i < tokens * width; ++i) {
          const float key = page.keys[i], value = page.values[i];
          double key_bound = 0, value_bound = 0;  // f32: exactly
          if (format == KvFormat::kBf16) {        // 8 significant bits
            key_bound = std::abs(key) / 256;
            value_bound = std::abs(value) / 256;
          } else if (HasScales(format)) {
            key_bound = Bound(page.keys.data() + i % width, tokens, width, steps);
            value_bound = Bound(page.values.data() + i / width * width, width, 1, steps);
          }
          EXPECT_LE(std::abs(double{back[i]} - key), key_bound) << KvFormatName(format);
          EXPECT_LE(std::abs(double{back[page.keys.size() + i]} - value), value_bound)
              << KvFormatName(format);
        }
      }
    }
  }
}

TEST(KvFormatTest, Bf16RoundsToNearestEven) {
  EXPECT_EQ(Bf16Of(1.0F), 0x3F80);
  EXPECT_EQ(Bf16Of(std::bit_cast<float>(0x3F808000)), 0x3F80);  // half way, down to even
  EXPECT_EQ(Bf16Of(std::bit_cast<float>(0x3F818000)), 0x3F82);  // half way, up to even
  EXPECT_EQ(Bf16Of(std::bit_cast<float>(0x3F808001)), 0x3F81);
  EXPECT_EQ(Bf16Of(-std::numeric_limits<float>::infinity()), 0xFF80);
  EXPECT_EQ(Bf16Of(std::numeric_limits<float>::max()), 0x7F80);
  // Its significant bits lie below those that are kept.
  EXPECT_EQ(Bf16Of(std::bit_cast<float>(0x7F800001)), 0x7FC0);
  EXPECT_EQ(Bf16Of(std::bit_cast<float>(0x7FFFFFFF)), 0x7FFF);
}

TEST(KvFormatTest, AConstantAndTheLargestRangeComeBack) {
  for (const KvFormat format : {KvFormat::kInt8, KvFormat::kInt4}) {
    Page page(format, 4, 8, 8, 1);
    constexpr float kMost = std::numeric_limits<float>::max();
    for (int t = 0; t < 8; ++t) {
      page.keys[t * 4 + 1] = -2.7F;
      page.keys[t * 4 + 2] = t % 2 == 0 ? kMost : -kMost;
    }
    std::fill_n(page.values.begin() + 4, 4, 0.3F);
    const std::vector<float> back = page.Back();
    for (int t = 0; t < 8; ++t) {
      EXPECT_EQ(back[t * 4 + 1], -2.7F);
      EXPECT_NEAR(back[t * 4 + 2] / kMost, page.keys[t * 4 + 2] / kMost, 1e-6);
    }
    for (int d = 0; d < 4; ++d) EXPECT_EQ(back[page.keys.size() + 4 + d], 0.3F);
  }
}

TEST(KvFormatTest, WhatIsNoNumberStaysVisibleAndStaysWhereItIs) {
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    for (const KvFormat format : kKvFormats) {
      Page page(format, 6, 8, 5, 2);
      page.keys[2 * 6 + 3] = bad;
      page.values[4 * 6 + 1] = bad;
      const std::vector<float> back = page.Back();
      for (int t = 0; t < 5; ++t) {
        for (int d = 0; d < 6; ++d) {
          const float key = back[t * 6 + d], value = back[page.keys.size() + t * 6 + d];
          const bool whole = HasScales(format);
          const bool bad_key = d == 3 && (t == 2 || whole), bad_value = t == 4 && (d == 1 || whole);
          EXPECT_EQ(std::isfinite(key), !bad_key) << KvFormatName(format);
          EXPECT_EQ(std::isfinite(value), !bad_value) << KvFormatName(format);
        }
      }
    }
  }
}

TEST(KvFormatTest, APageOfFewerTokensHasTheSameLayoutAndZerosBehind) {
  for (const KvFormat format : kKvFormats) {
    Page full(format, 8, 16, 16, 3), part(format, 8, 16, 16, 3);
    part.tokens = 3;
    part.keys.resize(3 * 8);
    part.values.resize(3 * 8);
    full.Back();
    part.Back();
    const int64_t row = full.layout.row_bytes();
    EXPECT_EQ(full.bytes.size(), part.bytes.size());
    for (const int64_t section : {full.layout.keys(), full.layout.values()}) {
      for (int64_t i = 3 * row; i < 16 * row; ++i) {
        EXPECT_EQ(part.bytes[section + i], std::byte{0}) << KvFormatName(format);
      }
    }
    // A token's values know nothing of its neighbours.
    for (int64_t i = 0; i < 3 * row; ++i) {
      EXPECT_EQ(part.bytes[part.layout.values() + i], full.bytes[full.layout.values() + i]);
    }
  }
}

}  // namespace
}  // namespace kvla

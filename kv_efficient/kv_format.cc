// SPDX-License-Identifier: Apache-2.0
#include "kv_efficient/kv_format.h"

#include <algorithm>
#include <cstring>
#include <limits>

namespace kvla {
namespace {

struct Scale {
  float scale = 0, zero = 0;
};

// Of n numbers that lie `stride` apart.
Scale ScaleOf(const float* x, int n, int stride, int steps) {
  if (n == 0) return {};
  float low = x[0], high = x[0];
  for (int i = 0; i < n; ++i) {
    const float at = x[int64_t{i} * stride];
    if (!std::isfinite(at)) {
      constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
      return {kNaN, kNaN};
    }
    low = std::min(low, at);
    high = std::max(high, at);
  }
  // In double: the range of f32 numbers may not be one.
  return {static_cast<float>((double{high} - low) / steps), low};
}

uint32_t Quantized(float x, Scale s, int steps) {
  if (!(s.scale > 0)) return 0;  // a constant, or NaN
  const double code = std::nearbyint((double{x} - s.zero) / s.scale);
  return static_cast<uint32_t>(std::clamp(code, 0.0, static_cast<double>(steps)));
}

void StoreFloat(std::byte* at, int i, float x) {
  std::memcpy(at + i * sizeof(float), &x, sizeof(float));
}

float LoadFloat(const std::byte* at, int i) {
  float x = 0;
  std::memcpy(&x, at + i * sizeof(float), sizeof(float));
  return x;
}

// A row of codes of any width up to 8 bits, the first in the lowest.
class CodeRow {
 public:
  CodeRow(std::byte* row, int bits) : row_(row), bits_(bits) {}
  void Set(int i, uint32_t code) {
    const int bit = i * bits_;
    row_[bit / 8] |= static_cast<std::byte>(code << bit % 8);
  }

 private:
  std::byte* row_;
  int bits_;
};

void EncodeQuantized(const KvPageLayout& layout, std::span<const float> keys,
                     std::span<const float> values, int tokens, std::byte* page) {
  const int width = layout.head_dim, bits = BitsOf(layout.format), steps = (1 << bits) - 1;
  const auto row = [&](int64_t section, int token) {
    return CodeRow(page + section + token * layout.row_bytes(), bits);
  };
  for (int d = 0; d < width; ++d) {
    const Scale s = ScaleOf(keys.data() + d, tokens, width, steps);
    StoreFloat(page + layout.key_scales(), d, s.scale);
    StoreFloat(page + layout.key_zeros(), d, s.zero);
    for (int t = 0; t < tokens; ++t) {
      row(layout.keys(), t).Set(d, Quantized(keys[int64_t{t} * width + d], s, steps));
    }
  }
  for (int t = 0; t < tokens; ++t) {
    const float* from = values.data() + int64_t{t} * width;
    const Scale s = ScaleOf(from, width, 1, steps);
    StoreFloat(page + layout.value_scales(), t, s.scale);
    StoreFloat(page + layout.value_zeros(), t, s.zero);
    for (int d = 0; d < width; ++d) row(layout.values(), t).Set(d, Quantized(from[d], s, steps));
  }
}

// The d-th of a row as it stands there: a code, or the number.
template <KvFormat kFormat>
float Read(const std::byte* row, int d) {
  constexpr int kBits = BitsOf(kFormat);
  constexpr int kBytes = kBits < 8 ? 1 : kBits / 8;
  constexpr int kInWord = kBytes * 8 / kBits;
  uint32_t word = 0;
  std::memcpy(&word, row + d / kInWord * kBytes, kBytes);
  return CodeOf<kFormat>(word, d % kInWord);
}

template <KvFormat kFormat>
void Decode(const KvPageLayout& layout, const std::byte* page, int tokens, float* keys,
            float* values) {
  for (int t = 0; t < tokens; ++t) {
    const std::byte* key_row = page + layout.keys() + t * layout.row_bytes();
    const std::byte* value_row = page + layout.values() + t * layout.row_bytes();
    for (int d = 0; d < layout.head_dim; ++d) {
      float key = Read<kFormat>(key_row, d), value = Read<kFormat>(value_row, d);
      if constexpr (HasScales(kFormat)) {
        key = Dequantized(key, LoadFloat(page + layout.key_scales(), d),
                          LoadFloat(page + layout.key_zeros(), d));
        value = Dequantized(value, LoadFloat(page + layout.value_scales(), t),
                            LoadFloat(page + layout.value_zeros(), t));
      }
      *keys++ = key;
      *values++ = value;
    }
  }
}

}  // namespace

std::string_view KvFormatName(KvFormat format) {
  switch (format) {
    case KvFormat::kF32:
      return "f32";
    case KvFormat::kBf16:
      return "bf16";
    case KvFormat::kInt8:
      return "int8";
    case KvFormat::kInt4:
      return "int4";
  }
  return "";
}

std::optional<KvFormat> KvFormatNamed(std::string_view name) {
  for (const KvFormat format : kKvFormats) {
    if (KvFormatName(format) == name) return format;
  }
  return std::nullopt;
}

uint16_t Bf16Of(float x) {
  const auto bits = std::bit_cast<uint32_t>(x);
  if (std::isnan(x)) return static_cast<uint16_t>(bits >> 16 | 0x40);  // rounding could make it inf
  return static_cast<uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

void EncodePage(const KvPageLayout& layout, std::span<const float> keys,
                std::span<const float> values, int tokens, std::span<std::byte> page) {
  std::fill(page.begin(), page.end(), std::byte{0});
  if (HasScales(layout.format)) {
    EncodeQuantized(layout, keys, values, tokens, page.data());
    return;
  }
  const int64_t n = int64_t{tokens} * layout.head_dim;
  for (const auto& [from, at] : {std::pair{keys, layout.keys()}, {values, layout.values()}}) {
    std::byte* to = page.data() + at;
    if (layout.format == KvFormat::kF32) {
      std::copy_n(reinterpret_cast<const std::byte*>(from.data()), n * sizeof(float), to);
      continue;
    }
    for (int64_t i = 0; i < n; ++i) {
      const uint16_t half = Bf16Of(from[i]);
      std::memcpy(to + i * sizeof(half), &half, sizeof(half));
    }
  }
}

void DecodePage(const KvPageLayout& layout, std::span<const std::byte> page, int tokens,
                std::span<float> keys, std::span<float> values) {
  const auto decode = [&]<KvFormat kFormat>() {
    Decode<kFormat>(layout, page.data(), tokens, keys.data(), values.data());
  };
  switch (layout.format) {
    case KvFormat::kF32:
      return decode.operator()<KvFormat::kF32>();
    case KvFormat::kBf16:
      return decode.operator()<KvFormat::kBf16>();
    case KvFormat::kInt8:
      return decode.operator()<KvFormat::kInt8>();
    case KvFormat::kInt4:
      return decode.operator()<KvFormat::kInt4>();
  }
}

}  // namespace kvla

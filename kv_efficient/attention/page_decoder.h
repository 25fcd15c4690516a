// SPDX-License-Identifier: Apache-2.0
// Rows of an encoded page as f32, over vectors of one width: the bits of DecodePage().
#ifndef KVLA_KV_EFFICIENT_ATTENTION_PAGE_DECODER_H_
#define KVLA_KV_EFFICIENT_ATTENTION_PAGE_DECODER_H_

#include "kernels/vectors.h"
#include "kv_efficient/attention/ragged_attention.h"

namespace kvla {

template <class S>
class PageDecoder {
 public:
  // Tokens [first, first + count) into [count, head_dim] each.
  static void Decode(const EncodedPage& page, int first, int count, float* keys, float* values) {
    switch (page.layout.format) {
      case KvFormat::kF32:
        return Rows<KvFormat::kF32>(page, first, count, keys, values);
      case KvFormat::kBf16:
        return Rows<KvFormat::kBf16>(page, first, count, keys, values);
      case KvFormat::kInt8:
        return Rows<KvFormat::kInt8>(page, first, count, keys, values);
      case KvFormat::kInt4:
        return Rows<KvFormat::kInt4>(page, first, count, keys, values);
    }
  }

  // Rows [count, width] by their tokens' positions: the bits of RotateRow().
  static void Rotate(const KvRegion& region, const int32_t* positions, int count, int width,
                     float* rows) {
    const int half = width / 2, whole = half / kLanes * kLanes;
    for (int t = 0; t < count; ++t, rows += width) {
      const float* cos = region.cos + static_cast<int64_t>(positions[t]) * half;
      const float* sin = region.sin + static_cast<int64_t>(positions[t]) * half;
      for (int i = 0; i < whole; i += kLanes) {
        const V a = S::Load(rows + i), b = S::Load(rows + half + i);
        const V c = S::Load(cos + i), s = S::Load(sin + i);
        S::Store(rows + i, S::Sub(S::Mul(a, c), S::Mul(b, s)));
        S::Store(rows + half + i, S::Add(S::Mul(b, c), S::Mul(a, s)));
      }
      for (int i = whole; i < half; ++i) {
        const float a = rows[i], b = rows[half + i];
        rows[i] = a * cos[i] - b * sin[i];
        rows[half + i] = b * cos[i] + a * sin[i];
      }
    }
  }

 private:
  using V = typename S::V;
  static constexpr int kLanes = S::kLanes;

  static const float* Floats(const uint8_t* at) { return reinterpret_cast<const float*>(at); }

  // Codes, or numbers, from dimension d of a row on.
  template <KvFormat kFormat>
  static V Load(const uint8_t* row, int d) {
    if constexpr (kFormat == KvFormat::kF32) return S::Load(Floats(row) + d);
    if constexpr (kFormat == KvFormat::kBf16) return S::LoadBf16(row + 2 * d);
    if constexpr (kFormat == KvFormat::kInt8) return S::LoadBytes(row + d);
    if constexpr (kFormat == KvFormat::kInt4) return S::LoadNibbles(row + d / 2);
  }
  template <KvFormat kFormat>
  static float LoadOne(const uint8_t* row, int d) {
    if constexpr (kFormat == KvFormat::kF32) return Floats(row)[d];
    if constexpr (kFormat == KvFormat::kBf16) {
      return CodeOf<kFormat>(row[2 * d] | row[2 * d + 1] << 8, 0);
    }
    if constexpr (kFormat == KvFormat::kInt8) return row[d];
    if constexpr (kFormat == KvFormat::kInt4) return CodeOf<kFormat>(row[d / 2], d % 2);
  }

  template <KvFormat kFormat>
  static void Rows(const EncodedPage& page, int first, int count, float* keys, float* values) {
    const KvPageLayout& at = page.layout;
    const int width = at.head_dim;
    // A vector of half bytes is whole bytes.
    const int whole = kFormat == KvFormat::kInt4 && kLanes == 1 ? 0 : width / kLanes * kLanes;
    const float* scales = Floats(page.data + at.key_scales());
    const float* zeros = Floats(page.data + at.key_zeros());
    for (int t = first; t < first + count; ++t, keys += width, values += width) {
      const uint8_t* key_row = page.data + at.keys() + t * at.row_bytes();
      const uint8_t* value_row = page.data + at.values() + t * at.row_bytes();
      float scale = 0, zero = 0;
      if constexpr (HasScales(kFormat)) {
        scale = Floats(page.data + at.value_scales())[t];
        zero = Floats(page.data + at.value_zeros())[t];
      }
      for (int d = 0; d < whole; d += kLanes) {
        V key = Load<kFormat>(key_row, d), value = Load<kFormat>(value_row, d);
        if constexpr (HasScales(kFormat)) {
          key = S::Fma(S::Load(scales + d), key, S::Load(zeros + d));
          value = S::Fma(S::Set(scale), value, S::Set(zero));
        }
        S::Store(keys + d, key);
        S::Store(values + d, value);
      }
      for (int d = whole; d < width; ++d) {
        keys[d] = LoadOne<kFormat>(key_row, d);
        values[d] = LoadOne<kFormat>(value_row, d);
        if constexpr (HasScales(kFormat)) {
          keys[d] = Dequantized(keys[d], scales[d], zeros[d]);
          values[d] = Dequantized(values[d], scale, zero);
        }
      }
    }
  }
};

}  // namespace kvla

#endif  // KVLA_KV_EFFICIENT_ATTENTION_PAGE_DECODER_H_

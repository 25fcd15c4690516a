// SPDX-License-Identifier: Apache-2.0
// How keys and values are held, and the layout of a page: up to page_tokens tokens of one lane that
// were encoded together. No torch; what is constexpr also runs on a CUDA device.
//
//   f32    keys [page_tokens, head_dim], values [page_tokens, head_dim]
//   bf16   the same in 16 bits, rounded to nearest even
//   int8, int4   x = zero + scale * code, codes 0 to 255 or 15, scales and zeros in f32: for keys
//   one
//          each a channel over the page's tokens, for values one each a token (KIVI: Liu et al.,
//          arXiv:2402.02750). Codes of keys, codes of values, key scales, key zeros, value scales,
//          value zeros.
//
// A row of codes takes whole bytes (int4: the even dimension in the lower half of a byte); each of
// those sections begins at a multiple of 16 bytes and so does what follows the page. A page may
// hold fewer tokens: the layout stays, the rest is zero.
#ifndef KVLA_KV_EFFICIENT_KV_FORMAT_H_
#define KVLA_KV_EFFICIENT_KV_FORMAT_H_

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace kvla {

enum class KvFormat : uint8_t { kF32, kBf16, kInt8, kInt4 };  // from wide to narrow
inline constexpr KvFormat kKvFormats[] = {KvFormat::kF32, KvFormat::kBf16, KvFormat::kInt8,
                                          KvFormat::kInt4};

std::string_view KvFormatName(KvFormat format);  // "f32", "bf16", "int8", "int4"
std::optional<KvFormat> KvFormatNamed(std::string_view name);

constexpr int BitsOf(KvFormat format) { return 32 >> static_cast<int>(format); }
constexpr bool HasScales(KvFormat format) { return format >= KvFormat::kInt8; }

struct KvPageLayout {
  KvFormat format = KvFormat::kF32;
  int head_dim = 0;     // any, also odd
  int page_tokens = 0;  // capacity

  // Bytes of one token's keys, or values.
  constexpr int64_t row_bytes() const { return (int64_t{head_dim} * BitsOf(format) + 7) / 8; }

  // Where a section begins; those of scales and zeros only where the format has them.
  constexpr int64_t keys() const { return 0; }
  constexpr int64_t values() const { return Aligned(page_tokens * row_bytes()); }
  constexpr int64_t key_scales() const { return 2 * values(); }
  constexpr int64_t key_zeros() const { return key_scales() + Floats(head_dim); }
  constexpr int64_t value_scales() const { return key_zeros() + Floats(head_dim); }
  constexpr int64_t value_zeros() const { return value_scales() + Floats(page_tokens); }
  constexpr int64_t bytes() const {
    return HasScales(format) ? value_zeros() + Floats(page_tokens) : 2 * values();
  }

 private:
  static constexpr int64_t Aligned(int64_t bytes) { return (bytes + 15) / 16 * 16; }
  static constexpr int64_t Floats(int n) { return Aligned(int64_t{n} * sizeof(float)); }
};

// The i-th code of a little-endian word of codes, as a number; f32 and bf16: the value.
template <KvFormat kFormat>
constexpr float CodeOf(uint32_t word, int i) {
  if constexpr (kFormat == KvFormat::kF32) return std::bit_cast<float>(word);
  if constexpr (kFormat == KvFormat::kBf16) return std::bit_cast<float>(word >> 16 * i << 16);
  if constexpr (kFormat == KvFormat::kInt8) return static_cast<float>(word >> 8 * i & 0xFF);
  if constexpr (kFormat == KvFormat::kInt4) return static_cast<float>(word >> 4 * i & 0xF);
}

// A code's value, rounded once: every reader, on whatever machine, sees the same bits.
constexpr float Dequantized(float code, float scale, float zero) { return fmaf(scale, code, zero); }

// Rounded to nearest even; beyond the largest: infinity. What is no number stays none.
uint16_t Bf16Of(float x);

// keys, values: [tokens, head_dim], with at most page_tokens tokens; page: layout.bytes(). All of
// it is written. int8 and int4 can say nothing of NaN and infinities: a channel of keys, or a
// token's values, that hold one become NaN as a whole, so that it stays visible.
void EncodePage(const KvPageLayout& layout, std::span<const float> keys,
                std::span<const float> values, int tokens, std::span<std::byte> page);

// The first `tokens` tokens of a page, into [tokens, head_dim] each.
void DecodePage(const KvPageLayout& layout, std::span<const std::byte> page, int tokens,
                std::span<float> keys, std::span<float> values);

}  // namespace kvla

#endif  // KVLA_KV_EFFICIENT_KV_FORMAT_H_

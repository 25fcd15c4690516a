// SPDX-License-Identifier: Apache-2.0
// Vectors of f32 as the kernels are written over them: 8 lanes (AVX2) or 16 (AVX-512).
//
// A kernel gives every output element in one lane and by one fixed sequence of operations, and
// never adds over lanes but through LaneSum's fixed tree: so its bits depend neither on the width
// nor on how many rows are computed together.
#ifndef KVLA_KERNELS_VECTORS_H_
#define KVLA_KERNELS_VECTORS_H_

#include <immintrin.h>

#include <cstdint>
#include <initializer_list>

namespace kvla {

struct Avx2 {
  using V = __m256;
  static constexpr int kLanes = 8;
  static V Zero() { return _mm256_setzero_ps(); }
  static V Set(float x) { return _mm256_set1_ps(x); }
  static V Load(const float* p) { return _mm256_loadu_ps(p); }
  // IEEE half precision, exactly.
  static V Load(const uint16_t* p) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  // bfloat16, exactly.
  static V LoadBf16(const uint8_t* p) {
    const __m128i half = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16));
  }
  // Whole numbers: bytes, and half bytes of which the lower comes first.
  static V LoadBytes(const uint8_t* p) {
    return Widened(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
  }
  static V LoadNibbles(const uint8_t* p) {
    const __m128i both = _mm_loadu_si32(p), low = _mm_set1_epi8(15);
    return Widened(
        _mm_unpacklo_epi8(_mm_and_si128(both, low), _mm_and_si128(_mm_srli_epi16(both, 4), low)));
  }
  static V Widened(__m128i bytes) { return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes)); }
  static void Store(float* p, V x) { _mm256_storeu_ps(p, x); }
  static V Add(V a, V b) { return _mm256_add_ps(a, b); }
  static V Sub(V a, V b) { return _mm256_sub_ps(a, b); }
  static V Mul(V a, V b) { return _mm256_mul_ps(a, b); }
  static V Div(V a, V b) { return _mm256_div_ps(a, b); }
  static V Fma(V a, V b, V c) { return _mm256_fmadd_ps(a, b, c); }  // a * b + c
  static V Max(V a, V b) { return _mm256_max_ps(a, b); }
  static V Min(V a, V b) { return _mm256_min_ps(a, b); }
  static V Round(V a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
  // 2^n of whole numbers n in [-126, 127].
  static V Power2(V n) {
    const __m256i bits = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
    return _mm256_castsi256_ps(_mm256_slli_epi32(bits, 23));
  }
  static bool AnyGreater(V a, V b) {
    return _mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_GT_OQ)) != 0;
  }
};

#ifdef __AVX512F__
struct Avx512 {
  using V = __m512;
  static constexpr int kLanes = 16;
  static V Zero() { return _mm512_setzero_ps(); }
  static V Set(float x) { return _mm512_set1_ps(x); }
  static V Load(const float* p) { return _mm512_loadu_ps(p); }
  static V Load(const uint16_t* p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
  static V LoadBf16(const uint8_t* p) {
    const __m256i half = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
  }
  static V LoadBytes(const uint8_t* p) {
    return Widened(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  static V LoadNibbles(const uint8_t* p) {
    const __m128i both = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
    const __m128i low = _mm_set1_epi8(15);
    return Widened(
        _mm_unpacklo_epi8(_mm_and_si128(both, low), _mm_and_si128(_mm_srli_epi16(both, 4), low)));
  }
  static V Widened(__m128i bytes) { return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes)); }
  static void Store(float* p, V x) { _mm512_storeu_ps(p, x); }
  static V Add(V a, V b) { return _mm512_add_ps(a, b); }
  static V Sub(V a, V b) { return _mm512_sub_ps(a, b); }
  static V Mul(V a, V b) { return _mm512_mul_ps(a, b); }
  static V Div(V a, V b) { return _mm512_div_ps(a, b); }
  static V Fma(V a, V b, V c) { return _mm512_fmadd_ps(a, b, c); }
  static V Max(V a, V b) { return _mm512_max_ps(a, b); }
  static V Min(V a, V b) { return _mm512_min_ps(a, b); }
  static V Round(V a) {
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
  static V Power2(V n) {
    const __m512i bits = _mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127));
    return _mm512_castsi512_ps(_mm512_slli_epi32(bits, 23));
  }
  static bool AnyGreater(V a, V b) { return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ) != 0; }
};
#endif

// e^x to 2 units in the last place; x below -87 counts as -87, above 88 as 88. e^0 is 1. Cody and
// Waite's reduction, Cephes' polynomial.
template <class S>
typename S::V Exp(typename S::V x) {
  // The second operand is what comes out when one is no number: NaN stays NaN.
  x = S::Min(S::Set(88.0F), S::Max(S::Set(-87.0F), x));
  const typename S::V n = S::Round(S::Mul(x, S::Set(1.44269504088896341F)));
  x = S::Fma(n, S::Set(-0.693359375F), x);
  x = S::Fma(n, S::Set(2.12194440e-4F), x);
  typename S::V p = S::Set(1.9875691500e-4F);
  for (const float c :
       {1.3981999507e-3F, 8.3334519073e-3F, 4.1665795894e-2F, 1.6666665459e-1F, 5.0000001201e-1F}) {
    p = S::Fma(p, x, S::Set(c));
  }
  p = S::Add(S::Fma(p, S::Mul(x, x), x), S::Set(1.0F));
  return S::Mul(p, S::Power2(n));
}

// x * (1 + erf(x / sqrt(2))) / 2 to 2e-7 of |x|. Abramowitz and Stegun 7.1.26; x * erf(x) is even.
template <class S>
typename S::V Gelu(typename S::V x) {
  const typename S::V size = S::Max(S::Sub(S::Zero(), x), x);
  const typename S::V z = S::Mul(size, S::Set(0.70710678F));
  const typename S::V t = S::Div(S::Set(1.0F), S::Fma(z, S::Set(0.3275911F), S::Set(1.0F)));
  typename S::V p = S::Set(1.061405429F);
  for (const float c : {-1.453152027F, 1.421413741F, -0.284496736F, 0.254829592F}) {
    p = S::Fma(p, t, S::Set(c));
  }
  const typename S::V rest = S::Mul(S::Mul(p, t), Exp<S>(S::Sub(S::Zero(), S::Mul(z, z))));
  return S::Mul(S::Set(0.5F), S::Fma(size, S::Sub(S::Set(1.0F), rest), x));
}

// x / (1 + e^-x)
template <class S>
typename S::V Silu(typename S::V x) {
  return S::Div(x, S::Add(S::Set(1.0F), Exp<S>(S::Sub(S::Zero(), x))));
}

}  // namespace kvla

#endif  // KVLA_KERNELS_VECTORS_H_

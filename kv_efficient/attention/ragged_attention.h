// SPDX-License-Identifier: Apache-2.0
// Attention of one KV head's queries over what its lane holds, in one pass: the far region and then
// the near one, each under the queries rotated for it. Lanes may have any length. No torch.
//
// Computed in f32; the same bits on every CPU with AVX2, at either vector width, and for a query
// whatever others come with it: each has a vector lane of its own, keys come in order, in tiles of
// kTile from the region's start (online softmax: Milakov and Gimelshein, arXiv:1805.02867).
#ifndef KVLA_KV_EFFICIENT_ATTENTION_RAGGED_ATTENTION_H_
#define KVLA_KV_EFFICIENT_ATTENTION_RAGGED_ATTENTION_H_

#include <cstdint>
#include <span>

#include "kv_efficient/kv_format.h"

namespace kvla {

// Queries lie transposed, [head_dim, padded rows], padded to a multiple of this with zeros.
inline constexpr int kRowPadding = 16;
inline constexpr int PaddedRows(int rows) {
  return (rows + kRowPadding - 1) / kRowPadding * kRowPadding;
}

// Tokens that were encoded together (kv_format.h).
struct EncodedPage {
  const uint8_t* data = nullptr;
  KvPageLayout layout;
  int tokens = 0;
  const int32_t* positions = nullptr;  // of its tokens, in blocks; its keys are un-rotated
};

// Keys of a decoded tile; a region of pages needs room for so many keys and values.
inline constexpr int kTileKeys = 64;

// Either plain rows, or pages in order.
struct KvRegion {
  const float* keys = nullptr;    // [tokens, head_dim]
  const float* values = nullptr;  // [tokens, head_dim]
  const float* bias = nullptr;    // [tokens], added to the scores; null: none
  int tokens = 0;
  const float* queries = nullptr;      // [head_dim, padded rows], scaled
  const EncodedPage* pages = nullptr;  // in place of keys and values
  int page_count = 0;
  float* scratch = nullptr;  // [2, kTileKeys, head_dim], where there are pages
  // Rotary tables [positions, head_dim / 2] by which the keys of pages are rotated as they are
  // read; null: they are not.
  const float* cos = nullptr;
  const float* sin = nullptr;
};

struct AttentionJob {
  KvRegion far, near;  // not both empty
  int head_dim = 0;
  int rows = 0;                  // query heads of the group x their tokens
  float* out = nullptr;          // [head_dim, padded rows]
  float* log_sum_exp = nullptr;  // [padded rows]
};

// One set for each vector width. No allocation; any number of threads.
struct AttentionKernels {
  const char* name;
  void (*attend)(const AttentionJob& job);
  // Attention that each key of the region received, summed over the rows: mass [tokens].
  // log_sum_exp [padded rows]: of the whole softmax.
  void (*key_mass)(const KvRegion& region, int head_dim, int rows, const float* log_sum_exp,
                   float* mass);
};

// The widest that this CPU runs.
const AttentionKernels& CpuAttention();
// All that this CPU runs, for tests that compare them.
std::span<const AttentionKernels* const> AllCpuAttention();

}  // namespace kvla

#endif  // KVLA_KV_EFFICIENT_ATTENTION_RAGGED_ATTENTION_H_

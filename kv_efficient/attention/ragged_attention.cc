// SPDX-License-Identifier: Apache-2.0
#include "kv_efficient/attention/ragged_attention.h"

#include "kernels/cpu_features.h"
#include "kv_efficient/attention/attention_tiles.h"

namespace kvla {

extern const AttentionKernels kAvx512Attention;  // attention_avx512.cc

namespace {

constexpr AttentionKernels kAvx2Attention = AttentionTiles<Avx2>::Table("avx2");
const AttentionKernels* const kAll[] = {&kAvx2Attention, &kAvx512Attention};

}  // namespace

std::span<const AttentionKernels* const> AllCpuAttention() {
  return std::span<const AttentionKernels* const>(kAll).first(HasAvx512() ? 2 : 1);
}

const AttentionKernels& CpuAttention() { return *AllCpuAttention().back(); }

}  // namespace kvla

// SPDX-License-Identifier: Apache-2.0
// Dumps for `kvla analyze`: any bytes are a dump that every method runs on, or BadInput. An input's
// first byte says which method; the rest is the file.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "harness/analyze/analysis.h"
#include "harness/analyze/attention_dump.h"
#include "kv_efficient/methods/method_table.h"
#include "tensors/torch.h"
#include "tests/fuzz/scratch_file.h"

namespace kvla {
namespace {

constexpr int kMaxBlocks = 40;  // of a dump that is analyzed, and so many lanes

void Analyze(const AttentionDump& dump, const CacheMethod& method) {
  CacheConfig config;
  config.policy = method.name;
  config.window_blocks = 2;
  config.chunk_blocks = 2;
  if (method.usual_budget > 0) config.budget_chunks = 2;
  if (method.reads("budget_tokens")) config.budget_tokens = 3;
  const auto analysis = AnalyzeDump(
      dump, config,
      method.cue_hint ? std::vector{std::pair(0, 1)} : std::vector<std::pair<int, int>>());
  if (!analysis.ok()) {
    if (analysis.status().code() != StatusCode::kBadInput) abort();
    return;
  }
  const size_t errors = static_cast<size_t>(dump.geometry.layers) * dump.geometry.max_blocks;
  if (analysis->method.errors.size() != errors) abort();
  // Never NaN, never below zero.
  if (!std::ranges::all_of(analysis->method.errors, [](double e) { return e >= 0; })) abort();
}

}  // namespace
}  // namespace kvla

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const bool one_thread = (at::set_num_threads(1), true);  // so little work needs no more
  (void)one_thread;
  static const kvla::FuzzFolder folder;
  if (size < 1) return 0;
  const auto dump = kvla::ReadAttentionDump(folder.Write("x.safetensors", data + 1, size - 1));
  if (!dump.ok()) {
    if (dump.status().code() != kvla::StatusCode::kBadInput) abort();
    return 0;
  }
  if (dump->geometry.max_blocks > kvla::kMaxBlocks || dump->geometry.lanes() > kvla::kMaxBlocks) {
    return 0;
  }
  const std::vector<kvla::CacheMethod>& methods = kvla::CacheMethods();
  kvla::Analyze(*dump, methods[data[0] % methods.size()]);
  return 0;
}

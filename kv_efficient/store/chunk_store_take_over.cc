// SPDX-License-Identifier: Apache-2.0
// ChunkStore: old chunks of another episode in the place of one's own.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "kv_efficient/store/chunk_store.h"
#include "tensors/torch.h"

namespace kvla {
namespace {

bool Alike(const CacheGeometry& a, const CacheGeometry& b) {
  return a.layers == b.layers && a.kv_heads == b.kv_heads && a.head_dim == b.head_dim &&
         a.tokens_per_block == b.tokens_per_block && a.rope_theta == b.rope_theta &&
         a.age_clamp_blocks == b.age_clamp_blocks;
}

// A lane's token and where it lies there.
struct Placed {
  FarToken token;
  const ChunkStore* store = nullptr;
  int at = 0;
};

}  // namespace

Status ChunkStore::CheckTakeOver(const ChunkStore& from, std::span<const int> chunks) const {
  if (!Alike(geometry_, from.geometry_) || chunk_blocks_ != from.chunk_blocks_ ||
      format_ != from.format_ || device_ != from.device_) {
    return BadInput("chunks can be taken over from a cache of the same geometry and storage alone");
  }
  if (blocks_ != from.blocks_ || near_begin_block_ != from.near_begin_block_ ||
      instruction_ != from.instruction_) {
    return BadInput(fmt::format(
        "chunks can be taken over from a cache at the same block alone: {} blocks, the window from "
        "{} on and {} instruction tokens here, there {}, {} and {}",
        blocks_, near_begin_block_, instruction_, from.blocks_, from.near_begin_block_,
        from.instruction_));
  }
  const int left = near_begin_block_ / chunk_blocks_;
  for (const int chunk : chunks) {
    if (chunk >= 0 && chunk < left) continue;
    return BadInput(
        fmt::format("chunk {} cannot be taken over: those that have left the window are 0 to {}",
                    chunk, left - 1));
  }
  return {};
}

// Of every lane the next list of tokens, in the order of chunks; then its rows, gathered run by run
// before the first is written. A chunk that takes its place at full length fits: a lane's far rows
// end before the window in any case.
Status ChunkStore::TakeOver(const ChunkStore& from, std::span<const int> chunks) {
  if (Status s = CheckTakeOver(from, chunks); !s.ok()) return s;
  const auto taken = [&](const FarToken& t) { return std::ranges::count(chunks, t.chunk) > 0; };
  std::vector<std::vector<FarToken>> far;
  for (int lane = 0; lane < geometry_.lanes(); ++lane) {
    std::vector<Placed> placed;
    for (const ChunkStore* store : {static_cast<const ChunkStore*>(this), &from}) {
      const std::vector<FarToken>& tokens = store->far_of(lane);
      for (size_t i = 0; i < tokens.size(); ++i) {
        if (taken(tokens[i]) != (store == &from)) continue;
        placed.push_back({tokens[i], store, static_cast<int>(i)});
      }
    }
    std::ranges::stable_sort(placed, {}, [](const Placed& p) { return p.token.chunk; });
    std::vector<FarToken>& tokens = far.emplace_back();
    for (const Placed& p : placed) tokens.push_back(p.token);
    if (encoded_) {
      std::vector<FarSource> sources;
      for (const Placed& p : placed) {
        sources.push_back(p.store->SourceAt(lane, p.at));
        sources.back().position = p.token.block();
      }
      encoded_->Rebuild(lane, sources, PageRuns(tokens));
      continue;
    }
    std::vector<at::Tensor> keys, values;
    for (size_t begin = 0, end = 0; begin < placed.size(); begin = end) {
      for (end = begin + 1; end < placed.size() && placed[end].store == placed[begin].store &&
                            placed[end].at == placed[end - 1].at + 1;) {
        ++end;
      }
      const auto rows = [&](const at::Tensor& slab) {
        return slab.select(0, lane).narrow(0, placed[begin].at, static_cast<int64_t>(end - begin));
      };
      keys.push_back(rows(placed[begin].store->keys_));
      values.push_back(rows(placed[begin].store->values_));
    }
    if (keys.empty()) continue;
    const auto count = std::ssize(placed);
    keys_.select(0, lane).narrow(0, 0, count).copy_(torch::cat(keys));
    values_.select(0, lane).narrow(0, 0, count).copy_(torch::cat(values));
  }
  if (uniform() && from.uniform()) far.resize(1);
  far_ = std::move(far);
  UpdateIndex();
  UpdatePages();
  return {};
}

}  // namespace kvla

// SPDX-License-Identifier: Apache-2.0
// Keys and values of one episode. torch.
//
// A lane is a (layer, KV head). Each lane has one slab for keys and one for values, virtually
// contiguous and as long as the longest episode; pages are committed as it grows and given back to
// the system as it shrinks, so fused attention reads it in place, without gather:
//
//   [ far: instruction | old chunks, compacted ) hole (no pages) [ near: the window )
//
// Near keys are rotated by their block index; far keys are not, unless they keep their distance
// (geometry.age_clamp_blocks 0, see kv_cache.h). A chunk that is kept whole while nothing was
// dropped before it stays where it is. In another type than f32 there are no slabs: the far region
// is encoded_far.h's, the near one packed_window.h's, and keys are rotated as they are read. On a
// CUDA device the slabs are plain tensors: live_bytes falls, committed_bytes does not.
#ifndef KVLA_KV_EFFICIENT_STORE_CHUNK_STORE_H_
#define KVLA_KV_EFFICIENT_STORE_CHUNK_STORE_H_

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/status.h"
#include "kv_efficient/attention/ragged_attention.h"
#include "kv_efficient/cache_geometry.h"
#include "kv_efficient/far_token.h"
#include "kv_efficient/head_rows.h"
#include "kv_efficient/kv_format.h"
#include "kv_efficient/plan.h"
#include "kv_efficient/rotary.h"
#include "kv_efficient/store/encoded_far.h"
#include "kv_efficient/store/packed_window.h"
#include "kv_efficient/store/page_pool.h"

namespace kvla {

class ByteReader;

// Of far tokens in order: how many, one run after the other, are a page where they are encoded.
std::vector<int> PageRuns(std::span<const FarToken> tokens);

// What fused attention reads: [1, kv_heads (or 1), tokens, head_dim] views into the slabs.
struct LaneView {
  at::Tensor keys, values;
  at::Tensor bias;  // [1, 1, 1, tokens] log counts; undefined when there is no summary
  int tokens = 0;
};

// Not thread-safe.
class ChunkStore {
 public:
  // `rotary` must reach geometry.max_blocks and outlive the store. `pool` counts pages (null: one
  // of its own).
  static Result<std::unique_ptr<ChunkStore>> Create(const CacheGeometry& geometry, int chunk_blocks,
                                                    std::shared_ptr<const RotaryTable> rotary,
                                                    at::Device device,
                                                    KvFormat format = KvFormat::kF32,
                                                    std::shared_ptr<PagePool> pool = nullptr);
  ~ChunkStore();
  ChunkStore(const ChunkStore&) = delete;
  ChunkStore& operator=(const ChunkStore&) = delete;

  // Empties every lane and gives all pages back.
  void Reset();
  // k, v [kv_heads, n, head_dim], un-rotated. Before the first block, once a layer.
  Status AppendInstruction(int layer, const at::Tensor& k, const at::Tensor& v);
  Status AppendInstruction(int layer, int tokens, const HeadRows& k, const HeadRows& v);  // CPU
  // k, v [kv_heads, tokens_per_block, head_dim], k un-rotated: stored rotated by the index of the
  // current block. Once a layer for each block. REQUIRES: blocks() < geometry.max_blocks.
  void AppendBlock(int layer, const at::Tensor& k, const at::Tensor& v);
  void AppendBlock(int layer, const HeadRows& k, const HeadRows& v);  // CPU
  // The block is complete in all layers.
  void EndBlock();
  // Where the window is packed: what has become old enough in it takes its smaller form. Between
  // blocks.
  void SettleWindow();
  // Forgets the near blocks: the first of them comes next again, at its own position. Between
  // blocks; what is far stays, and so do the pages.
  void ReopenWindow();

  // Turns the keys of the oldest near chunk back, in place; the chunk must be planned next.
  void UnrotateLeaving();
  // [layers, kv_heads, C * T, head_dim], views of the oldest near chunk.
  at::Tensor LeavingKeys() const;
  at::Tensor LeavingValues() const;
  // Moves the oldest near chunk into the far region as planned, and cuts older chunks; frees what
  // is dropped. The plan must decide that chunk. A plan that asks for tokens that are gone is
  // kInternal and changes nothing.
  Status Apply(const Plan& plan);

  // Puts what another store's lanes hold of these chunks in the place of what is held of them here,
  // bit for bit. Between blocks. BadInput, and nothing changes, for a store of another shape, at
  // another block, or a chunk that has not left the window.
  Status TakeOver(const ChunkStore& from, std::span<const int> chunks);

  int blocks() const { return blocks_; }  // complete blocks of the episode
  int near_begin_block() const { return near_begin_block_; }
  bool uniform() const { return far_.size() == 1; }  // all lanes hold the same tokens
  bool uniform(int layer) const { return layer_uniform_[layer] != 0; }  // ... of this layer
  KvFormat format() const { return format_; }
  // Far tokens of a lane in slab order.
  const std::vector<FarToken>& far(int layer, int kv_head) const;
  LaneView FarView(int layer) const;  // REQUIRES: uniform(layer), f32
  LaneView FarView(int layer, int kv_head) const;
  // Keys and values of a lane's far tokens, [tokens, head_dim] each, keys un-rotated; may be views.
  std::pair<at::Tensor, at::Tensor> FarRows(int layer, int kv_head) const;
  LaneView NearView(int layer) const;  // includes the current block once it is appended
  LaneView NearView(int layer, int kv_head) const;
  // The same on a CPU, as ragged attention reads them; the queries are the caller's.
  KvRegion FarRegion(int layer, int kv_head) const;
  KvRegion NearRegion(int layer, int kv_head) const;

  int64_t live_bytes() const;                                   // keys and values held
  int64_t committed_bytes() const;                              // pages held
  int64_t transient_bytes() const { return transient_bytes_; }  // peak of the last Apply
  int64_t held_tokens() const;                                  // over all lanes: far + near
  int64_t ResidentBytes() const;  // what the kernel says of the pages; CPU only, slow
  const PagePool& pool() const { return *pool_; }

  std::unique_ptr<ChunkStore> Clone() const;  // counts in the same pool
  std::vector<uint8_t> Save() const;
  // Of any bytes: only what Save() could have written is taken, else the store is empty.
  Status Restore(std::span<const uint8_t> bytes);

 private:
  // One step of a lane's compaction: tokens move down, or a summary of a chunk is written.
  struct Move {
    int from = 0, to = 0, count = 0;
    SummaryKind summary = SummaryKind::kNone;  // from: the chunk's first token; count: summaries
    int chunk = 0;                             // of a summary
  };

  ChunkStore(const CacheGeometry& geometry, int chunk_blocks,
             std::shared_ptr<const RotaryTable> rotary, at::Device device, KvFormat format,
             std::shared_ptr<PagePool> pool);
  const std::vector<FarToken>& far_of(int lane) const { return far_[uniform() ? 0 : lane]; }
  LaneView View(const at::Tensor& bias, int lane, int lanes, int begin, int end) const;
  Status BeginInstruction(int layer, int tokens);
  int BeginAppend(int layer);  // where the block begins in a lane
  void GrowLayer(int layer, int64_t tokens);
  KvRegion Region(const at::Tensor& bias, int lane, int begin, int end) const;
  KvRegion PackedRegion(std::span<const EncodedPage> pages, int tokens, bool rotated) const;
  Status CheckPlan(const Plan& plan) const;
  Status CheckTakeOver(const ChunkStore& from, std::span<const int> chunks) const;
  // The far tokens of a lane after the plan, and the moves that get there.
  Status MakeLane(const Plan& plan, int lane, std::vector<FarToken>* tokens,
                  std::vector<Move>* moves) const;
  void ApplyMoves(const std::vector<Move>& moves, int lane, int lanes, at::Tensor* slab);
  void TurnLeaving(bool back);
  int summary_tokens(SummaryKind kind) const;  // of a chunk
  // Keys [..., chunk tokens, head_dim] as the far region holds them, to those of their summaries.
  at::Tensor SummarizeKeys(const at::Tensor& keys, int chunk, SummaryKind kind) const;
  at::Tensor SummarizeValues(const at::Tensor& values, SummaryKind kind) const;
  Status CheckFit(const LaneFit& fit, size_t tokens) const;
  // Weights and values of a lane's next far tokens.
  void ApplyFit(const LaneFit& fit, int lane, std::vector<FarToken>* tokens);
  // What a lane holds, as (first row, rows) of the slab: far, near.
  std::array<std::pair<int64_t, int64_t>, 2> HeldRows(int lane) const;
  // Pages of every lane, far ones and then the window's of `blocks` blocks from `first` on.
  bool ReadPages(const std::vector<std::vector<FarToken>>& far, int settled, int blocks, int first,
                 ByteReader* in, EncodedFar* pages, PackedWindow* window) const;
  // What a token comes from that was the lane's `at`-th, far or of the leaving chunk.
  FarSource SourceAt(int lane, int at) const;
  // Where the far region is encoded: the lane's next state by its moves; null: nothing is fitted.
  void Encode(const std::vector<FarToken>& tokens, const std::vector<Move>& moves, int lane,
              const LaneFit* fit);
  void UpdateIndex();  // bias_ and layer_uniform_, from far_
  void UpdatePages();
  bool cpu() const { return device_.is_cpu(); }
  int chunk_tokens() const { return chunk_blocks_ * geometry_.tokens_per_block; }
  int near_begin() const;  // slab index of the first near token
  int near_end(int layer) const;

  CacheGeometry geometry_;
  int chunk_blocks_;
  std::shared_ptr<const RotaryTable> rotary_;
  at::Device device_;
  KvFormat format_;
  std::shared_ptr<PagePool> pool_;
  int64_t capacity_ = 0;            // tokens a lane
  PageSlab key_slab_, value_slab_;  // CPU only
  at::Tensor keys_, values_;        // [lanes, capacity, head_dim] over the slabs

  // Where keys and values are not f32.
  std::optional<EncodedFar> encoded_;
  std::optional<PackedWindow> window_;
  at::Tensor leaving_keys_, leaving_values_;  // of the oldest chunk, once they are asked for

  int instruction_ = 0;
  int blocks_ = 0;
  int near_begin_block_ = 0;
  bool leaving_unrotated_ = false;
  std::vector<int> appended_;               // blocks appended, by layer
  std::vector<std::vector<FarToken>> far_;  // one entry when all lanes are alike, else by lane
  std::vector<at::Tensor> bias_;            // like far_; undefined where no token is a summary
  std::vector<char> layer_uniform_;
  std::vector<int> instruction_appended_;  // by layer
  int64_t transient_bytes_ = 0;
};

}  // namespace kvla

#endif  // KVLA_KV_EFFICIENT_STORE_CHUNK_STORE_H_

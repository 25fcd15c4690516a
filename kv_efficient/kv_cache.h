// SPDX-License-Identifier: Apache-2.0
// The key-value cache of one episode: attention over it, and its compression. torch.
//
// Position rule, a property of the model and so the same for every method: a near token (in the
// window, see schedule.h) is at its true distance in blocks; a far token (instruction, chunks that
// left) is at the constant distance age_clamp_blocks, or, where that is 0, at its true one too: the
// instruction is then at block 0, a summary in the middle of its chunk (rounded down). Near keys
// are stored rotated by their block index; far ones un-rotated, or rotated where they keep their
// distance. Attention is one pass over both regions (ragged_attention.h), with the query rotated
// by its block index or by age_clamp_blocks. All tokens of a block see each other.
//
// One block:  BeginBlock(); for each layer: Attend(layer, q, k, v); EndBlock();
#ifndef KVLA_KV_EFFICIENT_KV_CACHE_H_
#define KVLA_KV_EFFICIENT_KV_CACHE_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/inference_cost.h"
#include "base/status.h"
#include "base/stopwatch.h"
#include "kv_efficient/attended_rows.h"
#include "kv_efficient/attention/ragged_attention.h"
#include "kv_efficient/cache_geometry.h"
#include "kv_efficient/head_rows.h"
#include "kv_efficient/methods/cache_config.h"
#include "kv_efficient/methods/cache_policy.h"
#include "kv_efficient/plan.h"
#include "kv_efficient/rotary.h"
#include "kv_efficient/schedule.h"
#include "kv_efficient/store/chunk_store.h"
#include "kv_efficient/token_mass.h"

namespace kvla {

// Costs of the last block, and the state after it.
struct CacheStats {
  InferenceCost cost;      // the cache's parts: attend, gate and compact, all bytes, the tokens
  int64_t far_tokens = 0;  // of the tokens held far ones, the instruction included
  double gate_flops = 0;   // of planning, and of the attention mass that the policy needs
  double report_ms = 0;    // of ReportAttention(), in none of the others
};

// Not thread-safe. Attention runs in inference mode and computes in f32, whatever type holds keys
// and values (CacheConfig::storage).
class KvCache {
 public:
  static Result<std::unique_ptr<KvCache>> Create(const CacheGeometry& geometry,
                                                 const CacheConfig& config,
                                                 std::unique_ptr<CachePolicy> policy,
                                                 at::Device device, MsClock clock = SteadyMs);
  // With the method that `config` names (MakeCachePolicy()).
  static Result<std::unique_ptr<KvCache>> Create(const CacheGeometry& geometry,
                                                 const CacheConfig& config, at::Device device,
                                                 MsClock clock = SteadyMs);
  ~KvCache();

  // Starts an episode; nothing of the one before remains.
  void Reset(const EpisodeFacts& facts);
  Needs needs() const { return policy_->needs(); }
  CachePolicy& policy() { return *policy_; }
  // k, v [kv_heads, n, head_dim] un-rotated, n <= geometry.instruction_tokens; before the first
  // block.
  Status AppendInstruction(int layer, const at::Tensor& k, const at::Tensor& v);
  Status AppendInstruction(int layer, int tokens, const HeadRows& k, const HeadRows& v);  // CPU

  // kBadInput when the episode is longer than geometry.max_blocks.
  Status BeginBlock();
  // q [heads, tokens_per_block (0: nobody attends), head_dim], k, v [kv_heads, tokens_per_block,
  // head_dim], un-rotated; any strides with a dense last dimension. Appends k and v, attends, and
  // returns [heads, tokens of q, head_dim], laid out so that transpose(0, 1) is contiguous.
  // Throws c10::Error on wrong shapes or order of calls.
  at::Tensor Attend(int layer, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v);
  // The same on a CPU, without tensors, into out [tokens_per_block, heads, head_dim].
  void Attend(int layer, const HeadRows& q, const HeadRows& k, const HeadRows& v, float* out);
  // The same where a block's tokens do not all see each other: `segments` are how many, one run
  // after the other, see each other and all earlier runs (causal: runs of one). They add up to
  // tokens_per_block. Several need a cache on the CPU.
  at::Tensor Attend(int layer, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                    std::span<const int> segments);
  // Keys and values [kv_heads, tokens, head_dim] of all that a layer holds, for maps that read keys
  // as the current block's queries meet them: turned to their distance from its position 0. After
  // the layer's Attend(); f32, CPU, a layer whose lanes hold the same tokens and no summaries, else
  // it throws c10::Error.
  std::pair<at::Tensor, at::Tensor> SeenRows(int layer) const;
  // Queries [heads, n, head_dim] of any number at the current block's position, un-rotated, that
  // see all that the layer holds and leave nothing: no keys, no mass, no statistics. Between the
  // layer's Attend() and EndBlock(); CPU. Throws c10::Error on wrong shapes or order of calls.
  AttendedRows Query(int layer, const at::Tensor& q);
  // The oldest chunk leaves if it is time: the policy plans, the store applies.
  Status EndBlock();

  // Forgets the blocks of the window, whose first one then comes next again; what left stays as it
  // was decided, and far tokens keep what the window's queries gave them (CachePolicy's
  // attention_blocks). The caller feeds the same blocks again, block by block, and then goes on.
  Status ReopenWindow();

  // Old chunks of which a lane still holds something, ascending.
  std::vector<int> HeldChunks() const;
  // Old chunks of another episode in the place of one's own (ChunkStore::TakeOver()), with what was
  // decided of them; TakeChangedDecisions() says nothing of it. Between blocks. BadInput also for a
  // method whose state belongs to the tokens that it has seen.
  Status TakeOver(const KvCache& from, std::span<const int> chunks);

  // For people who watch: attention also says what each chunk receives, on its own time.
  void ReportAttention(bool on) { report_ = on; }
  // Of the last block, if asked for: [layers, 1 + chunks], the share of all queries' attention that
  // the instruction and then each chunk received; a row sums to 1.
  const std::vector<float>& received() const { return received_; }

  int blocks() const { return store_->blocks(); }  // complete blocks
  const CacheStats& stats() const { return stats_; }
  const CacheGeometry& geometry() const { return geometry_; }
  const BlockSchedule& schedule() const { return schedule_; }
  const ChunkStore& store() const { return *store_; }
  // Every chunk begun so far, those in the window included.
  const std::vector<ChunkRecord>& chunks() const { return chunks_; }
  // Every decision of the episode, in order: BuildVisibility() replays it.
  const std::vector<DecisionEvent>& decision_log() const { return log_; }
  // Decisions since the last call.
  std::vector<ChunkDecision> TakeChangedDecisions();

  std::unique_ptr<KvCache> Clone() const;
  std::vector<uint8_t> Save() const;
  // Into a cache with the same geometry and config. Of any bytes: only what Save() could have
  // written is taken, else it is BadInput and the cache is empty.
  Status Restore(std::span<const uint8_t> bytes);

 private:
  KvCache(const CacheGeometry& geometry, const CacheConfig& config,
          std::unique_ptr<CachePolicy> policy, at::Device device, MsClock clock);
  // For so many query tokens at once.
  void MakeBuffers(int tokens);
  void RotateQuery(const HeadRows& q, int tokens);
  // Some queries of the current block, which see all near tokens but the last `hidden` ones.
  // `beside`: they belong to no token of the block, and are nowhere counted.
  struct QuerySpan {
    HeadRows rows;
    int tokens = 0, hidden = 0;
    bool beside = false;
  };
  // out [tokens, heads, head_dim]; log_sum_exp [heads, tokens] or null.
  void AttendSpan(int layer, const QuerySpan& q, float* out, float* log_sum_exp);
  void AttendSegments(int layer, const HeadRows& q, const HeadRows& k, const HeadRows& v,
                      std::span<const int> segments, float* out);
  // Of what a lane's queries met, whose log-sum-exp the last kernel call left.
  void MeasureMass(int layer, int head, const AttentionJob& job,
                   const std::vector<int64_t>& places);
  void TellQueries(int layer, const HeadRows& q);
  at::Tensor AttendOnDevice(int layer, const at::Tensor& q, const at::Tensor& k,
                            const at::Tensor& v);
  // Of a lane's far tokens those that the policy selects for these queries, by their places.
  std::vector<int64_t> SelectFar(int lane, const FarQueries& q);
  // The same for the queries [rows, head_dim] of one KV head; `far` becomes the view of just these.
  std::vector<int64_t> SelectOnDevice(int lane, const at::Tensor& query, LaneView* far);
  // A near region without its last tokens, which are of the current block.
  KvRegion Shortened(const KvRegion& near, int hidden);
  // The region of just these tokens; keys and values are copied, pages are not.
  KvRegion Narrowed(const KvRegion& far, std::span<const int64_t> places);
  bool wants_mass() const { return mass_.has_value() || report_; }
  // What the tokens of a region received: mass [tokens] of lane (layer, head).
  void AddMass(int layer, int head, bool far, std::span<const float> mass);
  // Whether the far tokens are those that the last decisions leave.
  bool HoldsWhatWasDecided() const;
  Status LetChunkLeave();
  const std::vector<FarToken>& FarOf(int lane) const {
    return store_->far(lane / geometry_.kv_heads, lane % geometry_.kv_heads);
  }
  // Of every lane; masses of the far tokens and of so many that follow.
  std::vector<LaneState> LaneStates(int chunk_tokens) const;
  void AddFarRows(const ChunkView& chunk, std::vector<LaneState>* lanes) const;
  std::vector<int> HeldTokens() const;  // of every lane, far and near
  void UpdateStats();

  CacheGeometry geometry_;
  CacheConfig config_;
  BlockSchedule schedule_;
  at::Device device_;
  MsClock clock_;
  std::unique_ptr<CachePolicy> policy_;
  std::shared_ptr<const RotaryTable> rotary_;
  std::unique_ptr<ChunkStore> store_;
  // CPU: what ragged attention reads and writes. Queries [kv_heads, head_dim, padded rows].
  std::vector<float> near_queries_, far_queries_, attended_, log_sum_exp_, key_mass_;
  int buffer_tokens_ = 0;                     // query tokens that they are laid out for
  std::vector<EncodedPage> shortened_pages_;  // of the near region that a segment sees
  // What a policy that selects has selected last, [tokens, head_dim] or pages.
  std::vector<float> selected_keys_, selected_values_, selected_bias_;
  std::vector<EncodedPage> selected_pages_;
  int64_t read_tokens_ = 0;  // keys met in this block, over lanes and query tokens
  bool in_block_ = false;
  CacheStats stats_;
  std::vector<ChunkRecord> chunks_;
  std::vector<DecisionEvent> log_;
  size_t taken_ = 0;               // of log_, by TakeChangedDecisions
  std::optional<TokenMass> mass_;  // when the policy needs it
  bool report_ = false;
  std::vector<float> received_;
};

}  // namespace kvla

#endif  // KVLA_KV_EFFICIENT_KV_CACHE_H_

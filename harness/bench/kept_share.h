// SPDX-License-Identifier: Apache-2.0
// A gated cache whose gate has random weights and whose share of kept chunks is given. torch.
#ifndef KVLA_HARNESS_BENCH_KEPT_SHARE_H_
#define KVLA_HARNESS_BENCH_KEPT_SHARE_H_

#include <memory>

#include "kv_efficient/methods/cache_policy.h"
#include "kv_efficient/methods/learned/chunk_gate.h"

namespace kvla {

// Of the first n chunks that left, floor(n x share) are kept, spread evenly.
constexpr int64_t KeptChunks(int chunks, double share) {
  return static_cast<int64_t>(chunks * share + 1e-9);
}
constexpr bool KeepsChunk(int chunk, double share) {
  return KeptChunks(chunk + 1, share) > KeptChunks(chunk, share);
}

// Pays for what a learned gate pays for, and runs one, but decides by KeepsChunk().
class KeptShare : public CachePolicy {
 public:
  KeptShare(const GateShape& shape, double share);
  ~KeptShare() override;

  // False: chunks leave without the gate's being asked, as nobody measures it then.
  void AskGate(bool on) { asks_ = on; }

  Needs needs() const override { return {.keys_values = true}; }
  void Reset(const EpisodeFacts& facts) override;
  float Score(const ChunkView& chunk) override;
  std::unique_ptr<CachePolicy> Clone() const override;
  MethodCost cost() const override { return {.plan_flops = gate_flops_}; }

 private:
  struct Gate;
  std::shared_ptr<Gate> gate_;
  double share_;
  double gate_flops_;
  bool asks_ = true;
};

}  // namespace kvla

#endif  // KVLA_HARNESS_BENCH_KEPT_SHARE_H_

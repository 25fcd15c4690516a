// SPDX-License-Identifier: Apache-2.0
// Which frame blocks are near (in the window) and which chunks have left. No torch.
// The one definition that inference and training share.
#ifndef KVLA_KV_EFFICIENT_SCHEDULE_H_
#define KVLA_KV_EFFICIENT_SCHEDULE_H_

namespace kvla {

// After block p is finished, the oldest chunk leaves while window_blocks + chunk_blocks blocks or
// more are near; so block p sees as near the blocks [NearBegin(p), p].
struct BlockSchedule {
  int window_blocks = 0;
  int chunk_blocks = 1;

  BlockSchedule() = default;
  BlockSchedule(int window, int chunk) : window_blocks(window), chunk_blocks(chunk) {}

  // Chunks 0 .. LeftChunks(p) - 1 have left before block p attends.
  int LeftChunks(int block) const {
    return block > window_blocks ? (block - window_blocks) / chunk_blocks : 0;
  }
  int NearBegin(int block) const { return chunk_blocks * LeftChunks(block); }
  // The block after whose end `chunk` leaves.
  int LeavesAfter(int chunk) const { return (chunk + 1) * chunk_blocks + window_blocks - 1; }
  int ChunkOf(int block) const { return block / chunk_blocks; }
};

}  // namespace kvla

#endif  // KVLA_KV_EFFICIENT_SCHEDULE_H_

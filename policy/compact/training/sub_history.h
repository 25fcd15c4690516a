// SPDX-License-Identifier: Apache-2.0
// Which frame blocks of a demonstration a training step looks at.
#ifndef KVLA_POLICY_COMPACT_TRAINING_SUB_HISTORY_H_
#define KVLA_POLICY_COMPACT_TRAINING_SUB_HISTORY_H_

#include <vector>

#include "base/rng.h"
#include "kv_efficient/plan.h"
#include "policy/compact/training/demo_source.h"

namespace kvla {

// Whole chunks at their true positions: a run of recent chunks and a random choice of older ones.
struct SubHistory {
  std::vector<int> blocks;               // true block indices, increasing
  std::vector<ChunkDecision> decisions;  // one per complete sampled chunk, `chunk` its true index
  bool holds_cue = false;                // every chunk with a cue is among the blocks, none dropped
};

struct SubHistoryOptions {
  int max_blocks = 64;
  int chunk_blocks = 4;
  int replan_steps = 4;
  double recent_share = 0.6;    // of max_blocks: the contiguous run at the end
  double decision_share = 0.5;  // how often that run ends after the first use of the target
  bool compress = false;  // old chunks compressed or dropped at random, those with a cue dropped
                          // seldom; else all whole
};

// Whether a block belongs to what its episode is about: the decision or, after the last cue, the
// way to it (a block has to be fetched before a bin is chosen).
bool UsesTarget(const DemoEpisode& episode, int block, int replan_steps);

// Whether a block in use has just got its target. A little later a demonstrator's motion gives the
// target away, and what has to be remembered could be read off it.
bool IsFresh(const DemoEpisode& episode, int block, int replan_steps);

// Where the run holds such blocks, the chunks of the cue are always among the older ones: no
// policy could learn the decision without them.
SubHistory DrawSubHistory(const DemoEpisode& episode, const SubHistoryOptions& options, Rng& rng);

}  // namespace kvla

#endif  // KVLA_POLICY_COMPACT_TRAINING_SUB_HISTORY_H_

// SPDX-License-Identifier: Apache-2.0
// Which frame blocks of a demonstration a training step looks at.
#ifndef KVLA_POLICY_COMPACT_TRAINING_SUB_HISTORY_H_
#define KVLA_POLICY_COMPACT_TRAINING_SUB_HISTORY_H_

#include <string>
#include <vector>

#include "base/rng.h"
#include "kv_efficient/plan.h"
#include "policy/compact/training/demo_source.h"

namespace kvla {

// What becomes of what is old, see TrainStage::history.
enum class History { kPlain, kRobust, kWindow, kByCues };
// Of TrainStage::history. REQUIRES: one of its names.
History ParseHistory(const std::string& name);

// Whole chunks at their true positions: a run of recent chunks and older ones; of kPlain and
// kWindow the run alone, so that nothing is missing within it.
struct SubHistory {
  std::vector<int> blocks;               // true block indices, increasing
  std::vector<ChunkDecision> decisions;  // one per complete sampled chunk, `chunk` its true index
  // Whether its targets are learnt: false under kByCues alone, where a chunk with a cue is not
  // among the blocks, or dropped.
  bool holds_cue = false;
};

struct SubHistoryOptions {
  int max_blocks = 64;
  int chunk_blocks = 4;
  int replan_steps = 4;
  double recent_share = 0.6;    // of max_blocks: the contiguous run at the end
  double decision_share = 0.5;  // how often that run ends after the first use of the target
  double fresh_share = 0;       // and of those runs: right after a decision got its target
  History history = History::kRobust;
  // Where the run uses a target, the chunks of its cue come before others, and of a few decoys.
  bool show_cues = false;
  bool compress =
      false;  // kRobust, kByCues: chunks compressed or dropped at random; else all whole
};

// Whether a block belongs to what its episode is about: the decision or, once it is asked for, the
// way to it (a block has to be fetched before a bin is chosen).
bool UsesTarget(const DemoEpisode& episode, int block, int replan_steps);

// Whether a block in use has just got its target. A little later a demonstrator's motion gives the
// target away, and what has to be remembered could be read off it.
bool IsFresh(const DemoEpisode& episode, int block, int replan_steps);

// Reads labels of cues for show_cues and kByCues alone, those of decoys for show_cues.
SubHistory DrawSubHistory(const DemoEpisode& episode, const SubHistoryOptions& options, Rng& rng);

}  // namespace kvla

#endif  // KVLA_POLICY_COMPACT_TRAINING_SUB_HISTORY_H_

// SPDX-License-Identifier: Apache-2.0
#include "policy/compact/training/sub_history.h"

#include <algorithm>
#include <set>

namespace kvla {
namespace {

// Of the episodes with compression: those whose every old chunk is compressed, and those that lose
// the cue, so that the arm's skill does not hang on the memory.
constexpr double kAllCompressedShare = 0.4;
constexpr double kForgetShare = 0.15;
// Of the sample, what the run at its end keeps where there are many cues.
constexpr double kLeastRunShare = 1.0 / 3;
constexpr int kFreshBlocks = 2;

std::set<int> CueChunks(const DemoEpisode& episode, int chunk_blocks) {
  std::set<int> chunks;
  for (const auto& [begin, end] : episode.cue_blocks) {
    for (int block = begin; block < end; ++block) chunks.insert(block / chunk_blocks);
  }
  return chunks;
}

// -1: none.
int FirstBlockInUse(const DemoEpisode& episode, int replan_steps) {
  for (int block = 0; block < episode.blocks; ++block) {
    if (UsesTarget(episode, block, replan_steps)) return block;
  }
  return -1;
}

bool HasUse(const DemoEpisode& episode, int replan_steps, int first_block, int end_block) {
  for (int block = first_block; block < end_block; ++block) {
    if (UsesTarget(episode, block, replan_steps)) return true;
  }
  return false;
}

// Retained whole, compressed or dropped, in proportions that an episode draws for itself, so that
// the policy meets everything from a full cache to a bare window.
std::vector<ChunkDecision> DrawDecisions(const std::set<int>& chunks, const std::set<int>& cues,
                                         bool compress, Rng& rng) {
  const double drop = compress ? rng.Uniform() : 0.0;
  const double pool = !compress ? 0.0 : rng.Uniform() < kAllCompressedShare ? 1.0 : rng.Uniform();
  const bool forget = compress && rng.Uniform() < kForgetShare;
  std::vector<ChunkDecision> decisions;
  for (const int chunk : chunks) {
    ChunkDecision decision;
    decision.chunk = chunk;
    decision.action = ChunkAction::kWhole;
    if (rng.Uniform() < pool) decision.action = ChunkAction::kCompressed;
    if (cues.contains(chunk) ? forget : rng.Uniform() < drop) {
      decision.action = ChunkAction::kDropped;
    }
    decisions.push_back(decision);
  }
  return decisions;
}

}  // namespace

bool UsesTarget(const DemoEpisode& episode, int block, int replan_steps) {
  const int begin = block * replan_steps, end = std::min(begin + replan_steps, episode.steps);
  for (int step = begin; step < end; ++step) {
    if (episode.decision[step] != 0) return true;
  }
  return episode.target_class[begin] >= 0 &&
         std::ranges::all_of(episode.cue_blocks,
                             [block](const auto& cue) { return block > cue.second; });
}

bool IsFresh(const DemoEpisode& episode, int block, int replan_steps) {
  if (!UsesTarget(episode, block, replan_steps)) return false;
  const int before = block - kFreshBlocks;
  if (before < 0 || !UsesTarget(episode, before, replan_steps)) return true;
  return episode.target_class[block * replan_steps] != episode.target_class[before * replan_steps];
}

SubHistory DrawSubHistory(const DemoEpisode& episode, const SubHistoryOptions& options, Rng& rng) {
  const int chunk_blocks = options.chunk_blocks;
  const std::set<int> cues = CueChunks(episode, chunk_blocks);
  std::set<int> chunks;  // complete or, at the end of the run, partial
  int end_block = episode.blocks;
  if (episode.blocks <= options.max_blocks) {
    for (int c = 0; c * chunk_blocks < end_block; ++c) chunks.insert(c);
  } else {
    const int recent = static_cast<int>(options.max_blocks * options.recent_share);
    if (rng.Uniform() >= options.decision_share) {
      end_block = recent + rng.UniformInt(episode.blocks - recent + 1);
    } else if (const int open = FirstBlockInUse(episode, options.replan_steps); open >= 0) {
      end_block = std::max(recent, open + 1 + rng.UniformInt(episode.blocks - open));
    }
    const size_t limit = options.max_blocks / chunk_blocks;
    const int first_chunk = std::max(0, (end_block - recent) / chunk_blocks);
    for (int c = first_chunk; c * chunk_blocks < end_block; ++c) chunks.insert(c);
    if (HasUse(episode, options.replan_steps, first_chunk * chunk_blocks, end_block)) {
      chunks.insert(cues.begin(), cues.end());
      // Many cues go at the cost of the run's beginning: one long sample makes a whole batch long.
      const int last_run_chunk = *chunks.rbegin();
      for (int c = first_chunk; chunks.size() > limit; ++c) {
        if (c > last_run_chunk - kLeastRunShare * static_cast<double>(limit)) break;
        if (!cues.contains(c)) chunks.erase(c);
      }
    }
    std::vector<int> older(first_chunk);
    for (int c = 0; c < first_chunk; ++c) older[c] = c;
    rng.Shuffle(older);
    for (size_t i = 0; i < older.size() && chunks.size() < limit; ++i) chunks.insert(older[i]);
  }
  SubHistory sample;
  std::set<int> complete;
  for (const int c : chunks) {
    const int end = std::min((c + 1) * chunk_blocks, end_block);
    for (int block = c * chunk_blocks; block < end; ++block) sample.blocks.push_back(block);
    if (end == (c + 1) * chunk_blocks) complete.insert(c);
  }
  sample.holds_cue = std::includes(chunks.begin(), chunks.end(), cues.begin(), cues.end());
  sample.decisions = DrawDecisions(complete, cues, options.compress, rng);
  for (const ChunkDecision& d : sample.decisions) {
    if (d.action == ChunkAction::kDropped && cues.contains(d.chunk)) sample.holds_cue = false;
  }
  return sample;
}

}  // namespace kvla

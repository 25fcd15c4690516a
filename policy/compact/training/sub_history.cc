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
constexpr int kMostDecoys = 2;  // that are shown beside the cues

using Blocks = std::pair<int, int>;  // half-open

void AddChunks(const Blocks& blocks, int chunk_blocks, std::set<int>* chunks) {
  for (int block = blocks.first; block < blocks.second; ++block) {
    chunks->insert(block / chunk_blocks);
  }
}

std::set<int> CueChunks(const DemoEpisode& episode, int chunk_blocks) {
  std::set<int> chunks;
  for (const Blocks& cue : episode.cue_blocks) AddChunks(cue, chunk_blocks, &chunks);
  return chunks;
}

// None to kMostDecoys of those that end before `end_block`: beside a cue alone nobody learns to
// tell them apart.
void AddDecoys(const DemoEpisode& episode, int chunk_blocks, int end_block, Rng& rng,
               std::set<int>* chunks) {
  std::vector<Blocks> before;
  for (const Blocks& decoy : episode.decoy_blocks) {
    if (decoy.second <= end_block) before.push_back(decoy);
  }
  rng.Shuffle(before);
  before.resize(std::min<size_t>(before.size(), rng.UniformInt(kMostDecoys + 1)));
  for (const Blocks& decoy : before) AddChunks(decoy, chunk_blocks, chunks);
}

// Blocks in which a decision has just got its target.
std::vector<int> FreshDecisions(const DemoEpisode& episode, int replan_steps) {
  std::vector<int> fresh;
  for (int block = 0; block < episode.blocks; ++block) {
    const int begin = block * replan_steps;
    if (episode.decision[begin] != 0 && IsFresh(episode, block, replan_steps)) {
      fresh.push_back(block);
    }
  }
  return fresh;
}

// -1: none.
int FirstBlockInUse(const DemoEpisode& episode, int replan_steps) {
  for (int block = 0; block < episode.blocks; ++block) {
    if (UsesTarget(episode, block, replan_steps)) return block;
  }
  return -1;
}

// Where the run of `recent` blocks ends: anywhere, or after the first use of the target.
int DrawEnd(const DemoEpisode& episode, const SubHistoryOptions& options, int recent, Rng& rng) {
  if (rng.Uniform() >= options.decision_share) {
    return recent + rng.UniformInt(episode.blocks - recent + 1);
  }
  const int open = FirstBlockInUse(episode, options.replan_steps);
  if (open < 0) return episode.blocks;
  int last = open + rng.UniformInt(episode.blocks - open);
  if (options.fresh_share > 0 && rng.Uniform() < options.fresh_share) {
    const std::vector<int> fresh = FreshDecisions(episode, options.replan_steps);
    if (!fresh.empty()) last = fresh[rng.UniformInt(static_cast<int>(fresh.size()))];
  }
  return std::max(recent, last + 1);
}

bool HasUse(const DemoEpisode& episode, int replan_steps, int first_block, int end_block) {
  for (int block = first_block; block < end_block; ++block) {
    if (UsesTarget(episode, block, replan_steps)) return true;
  }
  return false;
}

// Retained whole, compressed or dropped, in proportions that an episode draws for itself, so that
// the policy meets everything from a full cache to a bare window. `spared`: chunks that are dropped
// all together or not at all.
std::vector<ChunkDecision> DrawDecisions(const std::set<int>& chunks, const std::set<int>& spared,
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
    if (spared.contains(chunk) ? forget : rng.Uniform() < drop) {
      decision.action = ChunkAction::kDropped;
    }
    decisions.push_back(decision);
  }
  return decisions;
}

std::vector<ChunkDecision> DecideAlike(const std::set<int>& chunks, ChunkAction action) {
  std::vector<ChunkDecision> decisions;
  for (const int chunk : chunks) decisions.push_back({.chunk = chunk, .action = action});
  return decisions;
}

// Chunks with a cue come first where the run holds a use of it; many of them go at the cost of the
// run's beginning: one long sample makes a whole batch long.
void AddCues(const std::set<int>& cues, size_t limit, std::set<int>* chunks) {
  if (cues.empty()) return;
  const int first_chunk = *chunks->begin(), last_run_chunk = *chunks->rbegin();
  chunks->insert(cues.begin(), cues.end());
  for (int c = first_chunk; chunks->size() > limit; ++c) {
    if (c > last_run_chunk - kLeastRunShare * static_cast<double>(limit)) break;
    if (!cues.contains(c)) chunks->erase(c);
  }
}

// Some of the chunks before `end`, until there are `limit`.
void AddOlder(int end, size_t limit, Rng& rng, std::set<int>* chunks) {
  std::vector<int> older(end);
  for (int c = 0; c < end; ++c) older[c] = c;
  rng.Shuffle(older);
  for (size_t i = 0; i < older.size() && chunks->size() < limit; ++i) chunks->insert(older[i]);
}

}  // namespace

History ParseHistory(const std::string& name) {
  if (name == "plain") return History::kPlain;
  if (name == "window") return History::kWindow;
  return name == "by_cues" ? History::kByCues : History::kRobust;
}

bool UsesTarget(const DemoEpisode& episode, int block, int replan_steps) {
  const int begin = block * replan_steps, end = std::min(begin + replan_steps, episode.steps);
  for (int step = begin; step < end; ++step) {
    if (episode.decision[step] != 0) return true;
  }
  return episode.use_begins >= 0 && begin >= episode.use_begins && episode.target_class[begin] >= 0;
}

bool IsFresh(const DemoEpisode& episode, int block, int replan_steps) {
  if (!UsesTarget(episode, block, replan_steps)) return false;
  const int before = block - kFreshBlocks;
  if (before < 0 || !UsesTarget(episode, before, replan_steps)) return true;
  return episode.target_class[block * replan_steps] != episode.target_class[before * replan_steps];
}

SubHistory DrawSubHistory(const DemoEpisode& episode, const SubHistoryOptions& options, Rng& rng) {
  const int chunk_blocks = options.chunk_blocks;
  const bool by_cues = options.history == History::kByCues;
  const bool run_alone = options.history == History::kPlain || options.history == History::kWindow;
  std::set<int> cues;
  if (by_cues || options.show_cues) cues = CueChunks(episode, chunk_blocks);
  std::set<int> chunks;  // complete or, at the end of the run, partial
  int end_block = episode.blocks;
  if (episode.blocks <= options.max_blocks) {
    for (int c = 0; c * chunk_blocks < end_block; ++c) chunks.insert(c);
  } else {
    const int recent = run_alone ? options.max_blocks
                                 : static_cast<int>(options.max_blocks * options.recent_share);
    end_block = DrawEnd(episode, options, recent, rng);
    const size_t limit = options.max_blocks / chunk_blocks;
    const int first_chunk = std::max(0, (end_block - recent) / chunk_blocks);
    for (int c = first_chunk; c * chunk_blocks < end_block; ++c) chunks.insert(c);
    if (HasUse(episode, options.replan_steps, first_chunk * chunk_blocks, end_block)) {
      std::set<int> shown = cues;
      if (options.show_cues) AddDecoys(episode, chunk_blocks, end_block, rng, &shown);
      AddCues(shown, limit, &chunks);
    }
    if (!run_alone) AddOlder(first_chunk, limit, rng, &chunks);
  }
  SubHistory sample;
  std::set<int> complete;
  for (const int c : chunks) {
    const int end = std::min((c + 1) * chunk_blocks, end_block);
    for (int block = c * chunk_blocks; block < end; ++block) sample.blocks.push_back(block);
    if (end == (c + 1) * chunk_blocks) complete.insert(c);
  }
  if (run_alone) {
    sample.decisions =
        DecideAlike(complete, options.history == History::kWindow ? ChunkAction::kDropped
                                                                  : ChunkAction::kWhole);
  } else {
    sample.decisions =
        DrawDecisions(complete, by_cues ? cues : std::set<int>(), options.compress, rng);
  }
  sample.holds_cue = true;
  if (!by_cues) return sample;
  sample.holds_cue = std::includes(chunks.begin(), chunks.end(), cues.begin(), cues.end());
  for (const ChunkDecision& d : sample.decisions) {
    if (d.action == ChunkAction::kDropped && cues.contains(d.chunk)) sample.holds_cue = false;
  }
  return sample;
}

}  // namespace kvla

// SPDX-License-Identifier: Apache-2.0
// Does a rule that knows nothing of the task hold the cue? Counted on the episodes' schedules: a
// rule keeps as many chunks as an oracle, so that its bytes are the same.
#ifndef KVLA_HARNESS_CERTIFY_RULE_CHECK_H_
#define KVLA_HARNESS_CERTIFY_RULE_CHECK_H_

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "harness/certify/novelty.h"
#include "harness/certify/policy_geometry.h"
#include "harness/certify/verdict.h"
#include "tasks/task.h"

namespace kvla {

struct RuleOptions {
  int episodes = 400;         // drawn; no world
  int novelty_episodes = 60;  // of them, rendered; 0: novelty is left out
  uint64_t run_seed = 0;
  int image_size = 64;
  int threads = 1;  // changes nothing but the time
  PolicyGeometry geometry;
};

// The chunks with a block that sees a cue, first > last if no block does.
struct CueChunks {
  int first = 0, last = -1;
  bool near = false;  // a block that sees it is in the window at the decision
};

// An episode at its decision.
struct EpisodeChunks {
  int left = 0;                 // chunks 0 .. left - 1 are out of the window
  std::vector<CueChunks> cues;  // that began before the decision
};

// REQUIRES: scenario.decision_s >= 0.
EpisodeChunks ChunksOf(const Scenario& scenario, const PolicyGeometry& geometry);

// Whether each cue is in the window or in one of `kept`, ascending or not.
bool HoldsCues(const EpisodeChunks& episode, std::span<const int> kept);

struct RuleResult {
  std::string rule;
  std::string keeps;  // the chunks that a fixed rule keeps, for people
  int held = 0, episodes = 0;
  Judgement judgement;  // against RuleCheck::Limit()
};

struct RuleCheck {
  int episodes = 0;
  int chunks = 0;        // that each rule keeps
  double of_chunks = 0;  // out of so many, on average
  double window = 0;     // share of the episodes whose cues the window alone holds
  double expected = 0;   // that as many chunks drawn at random hold: what the bytes explain
  std::vector<RuleResult> rules;

  // A rule may hold the cues in this share of the episodes.
  double Limit() const;
};

// The rules that need no images:
//   first_chunks  the first ones
//   band          consecutive ones; those that hold most in every other episode, judged on the rest
//   periodic      every second, third, ... one from some chunk on; chosen and judged like `band`
// REQUIRES: two episodes or more.
RuleCheck CheckFixedRules(std::span<const EpisodeChunks> episodes);

// `novelty`: the `count` chunks that look newest, by the better of the two scores. An episode that
// ended before its decision does not count. Not judged. REQUIRES: as many of both.
RuleResult CheckNovelty(std::span<const EpisodeChunks> episodes,
                        std::span<const ChunkNovelty> novelty, int count);

// All of them, on episodes of the validation split. BadInput for a task that has no decision.
// `progress(done, total)` may be empty, is called by one thread at a time; returning false from it
// cancels.
Result<RuleCheck> CheckRules(const Task& task, const std::string& delay, const RuleOptions& options,
                             const std::function<bool(int, int)>& progress = {});

}  // namespace kvla

#endif  // KVLA_HARNESS_CERTIFY_RULE_CHECK_H_

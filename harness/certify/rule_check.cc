// SPDX-License-Identifier: Apache-2.0
#include "harness/certify/rule_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "harness/certify/expert_trials.h"
#include "harness/certify/novelty.h"
#include "harness/episode/policy_io.h"

namespace kvla {
namespace {

using Episodes = std::vector<const EpisodeChunks*>;

constexpr int kDrawsAnEpisode = 200;  // 80,000 over 400 episodes: a spread of 0.002 at most

int OracleChunks(const EpisodeChunks& episode) {
  std::set<int> chunks;
  for (const CueChunks& cue : episode.cues) {
    for (int c = cue.first; c <= std::min(cue.last, episode.left - 1); ++c) chunks.insert(c);
  }
  return static_cast<int>(chunks.size());
}

int CountHeld(const Episodes& episodes, std::span<const int> kept) {
  return static_cast<int>(std::ranges::count_if(
      episodes, [kept](const EpisodeChunks* episode) { return HoldsCues(*episode, kept); }));
}

// Share of the episodes that `count` chunks at random hold.
double Expected(const Episodes& episodes, int count) {
  Rng rng(StableHash("rules/expected"));
  int64_t held = 0;
  for (const EpisodeChunks* episode : episodes) {
    std::vector<int> chunks(static_cast<size_t>(episode->left));
    std::iota(chunks.begin(), chunks.end(), 0);
    const int kept = std::min(count, episode->left);
    for (int draw = 0; draw < kDrawsAnEpisode; ++draw) {
      for (int i = 0; i < kept; ++i) {
        std::swap(chunks[i], chunks[i + rng.UniformInt(episode->left - i)]);
      }
      held += HoldsCues(*episode, std::span(chunks).first(kept));
    }
  }
  return static_cast<double>(held) /
         (static_cast<double>(kDrawsAnEpisode) * static_cast<double>(episodes.size()));
}

std::vector<int> Every(int period, int from, int count) {
  std::vector<int> chunks;
  for (int i = 0; i < count; ++i) chunks.push_back(from + i * period);
  return chunks;
}

std::string Keeps(int period, int from, int count) {
  if (count < 2) return count == 1 ? fmt::format("chunk {}", from) : "none";
  if (period == 1) return fmt::format("chunks {} to {}", from, from + count - 1);
  return fmt::format("{} chunks from {} on, every {}", count, from, period);
}

// `count` chunks with a period in [least, most], such that most of `choose` are held; of equals the
// first.
RuleResult BestSpacing(const std::string& rule, int least, int most, int count,
                       const Episodes& choose, const Episodes& judge) {
  int end = 1;
  for (const EpisodeChunks* episode : choose) end = std::max(end, episode->left);
  int best = -1, best_period = least, best_from = 0;
  for (int period = least; period <= most; ++period) {
    const int reach = (count - 1) * period;
    if (period > least && reach >= end) break;
    for (int from = 0; from < std::max(1, end - reach); ++from) {
      const int held = CountHeld(choose, Every(period, from, count));
      if (held <= best) continue;
      best = held;
      best_period = period;
      best_from = from;
    }
  }
  const std::vector<int> kept = Every(best_period, best_from, count);
  return {.rule = rule,
          .keeps = Keeps(best_period, best_from, count),
          .held = CountHeld(judge, kept),
          .episodes = static_cast<int>(judge.size()),
          .judgement = {}};
}

}  // namespace

double RuleCheck::Limit() const { return expected + kAboveChance; }

EpisodeChunks ChunksOf(const Scenario& scenario, const PolicyGeometry& geometry) {
  const BlockSchedule schedule = geometry.schedule();
  const int decision = geometry.BlockFrom(scenario.decision_s);
  EpisodeChunks out{.left = schedule.LeftChunks(decision), .cues = {}};
  for (const CueInterval& cue : scenario.cues) {
    if (cue.begin_s >= scenario.decision_s) continue;
    CueChunks chunks;
    for (const auto& [begin, end] : CueBlocks({cue}, geometry.replan_steps, decision + 1)) {
      chunks = {.first = schedule.ChunkOf(begin),
                .last = schedule.ChunkOf(end - 1),
                .near = end - 1 >= schedule.NearBegin(decision)};
    }
    out.cues.push_back(chunks);
  }
  return out;
}

bool HoldsCues(const EpisodeChunks& episode, std::span<const int> kept) {
  return std::ranges::all_of(episode.cues, [kept](const CueChunks& cue) {
    return cue.near ||
           std::ranges::any_of(kept, [&cue](int c) { return cue.first <= c && c <= cue.last; });
  });
}

RuleCheck CheckFixedRules(std::span<const EpisodeChunks> episodes) {
  Episodes all, choose, judge;
  int64_t oracle = 0, left = 0;
  int most = 1;
  for (const EpisodeChunks& episode : episodes) {
    (all.size() % 2 == 0 ? choose : judge).push_back(&episode);
    all.push_back(&episode);
    oracle += OracleChunks(episode);
    left += episode.left;
    most = std::max(most, episode.left);
  }
  const auto n = static_cast<double>(all.size());
  const int count = static_cast<int>(std::ceil(static_cast<double>(oracle) / n));
  RuleCheck check{.episodes = static_cast<int>(all.size()),
                  .chunks = count,
                  .of_chunks = static_cast<double>(left) / n,
                  .window = CountHeld(all, {}) / n,
                  .expected = Expected(all, count),
                  .rules = {}};
  check.rules.push_back({.rule = "first_chunks",
                         .keeps = Keeps(1, 0, count),
                         .held = CountHeld(all, Every(1, 0, count)),
                         .episodes = check.episodes,
                         .judgement = {}});
  check.rules.push_back(BestSpacing("band", 1, 1, count, choose, judge));
  check.rules.push_back(BestSpacing("periodic", 2, most, count, choose, judge));
  for (RuleResult& rule : check.rules) {
    rule.judgement = JudgeAtMost(rule.held, rule.episodes, check.Limit());
  }
  return check;
}

RuleResult CheckNovelty(std::span<const EpisodeChunks> episodes,
                        std::span<const ChunkNovelty> novelty, int count) {
  int by_changes = 0, by_means = 0, whole = 0;
  for (size_t i = 0; i < episodes.size(); ++i) {
    const EpisodeChunks& episode = episodes[i];
    const ChunkNovelty& scores = novelty[i];
    if (static_cast<int>(scores.changes.size()) < episode.left) continue;  // ended before
    ++whole;
    by_changes += HoldsCues(episode, Highest(scores.changes, count));
    by_means += HoldsCues(episode, Highest(scores.means, count));
  }
  return {.rule = "novelty",
          .keeps = by_means > by_changes ? "most unlike the chunk before, by mean image"
                                         : "most changed from block to block",
          .held = std::max(by_changes, by_means),
          .episodes = whole,
          .judgement = {}};
}

Result<RuleCheck> CheckRules(const Task& task, const std::string& delay, const RuleOptions& options,
                             const std::function<bool(int, int)>& progress) {
  std::vector<EpisodeChunks> episodes;
  for (int i = 0; i < std::max(options.episodes, options.novelty_episodes); ++i) {
    const EpisodeKey key{Split::kValidation, options.run_seed, task.info().name, delay,
                         static_cast<uint64_t>(i)};
    const Result<Scenario> scenario = task.Draw(key);
    if (!scenario.ok()) return scenario.status();
    if (scenario->decision_s < 0) {
      return BadInput(
          fmt::format("task '{}': no decision that a rule could hold cues for", task.info().name));
    }
    episodes.push_back(ChunksOf(*scenario, options.geometry));
  }
  const std::span<const EpisodeChunks> all(episodes);
  RuleCheck check = CheckFixedRules(all.first(static_cast<size_t>(options.episodes)));
  if (options.novelty_episodes == 0) return check;
  const auto looked_at = all.first(static_cast<size_t>(options.novelty_episodes));
  std::vector<int> left;
  for (const EpisodeChunks& episode : looked_at) left.push_back(episode.left);
  const NoveltyOptions novelty{.run_seed = options.run_seed,
                               .image_size = options.image_size,
                               .threads = options.threads,
                               .geometry = options.geometry};
  const Result<std::vector<ChunkNovelty>> measured =
      MeasureNovelty(task, delay, left, novelty, progress);
  if (!measured.ok()) return measured.status();
  RuleResult& rule = check.rules.emplace_back(CheckNovelty(looked_at, *measured, check.chunks));
  rule.judgement = JudgeAtMost(rule.held, rule.episodes, check.Limit());
  return check;
}

}  // namespace kvla

// SPDX-License-Identifier: Apache-2.0
#include "results/report/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <span>
#include <utility>

#include "base/config_node.h"
#include "base/files.h"
#include "base/rng.h"
#include "base/text.h"
#include "results/report/comparable.h"
#include "results/report/no_success.h"
#include "results/statistics/stop_rule.h"

namespace kvla {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kPower = 0.8;

using Cell = std::pair<std::string, std::string>;  // task, delay
using Where = std::pair<Cell, int64_t>;            // and seed

std::string CellName(const Cell& cell) {
  return cell.first + (cell.second.empty() ? "" : "/" + cell.second);
}

Cell CellOf(const EpisodePair& p) { return {p.task, p.delay}; }

// An arm of one of the runs.
struct Contender {
  const RunStore* run = nullptr;
  std::string name;  // unique
  std::string arm;   // in its run
  std::map<Where, EpisodeRow> rows;
  std::string split;
  uint64_t run_seed = 0;
};

std::string FolderName(const RunStore& run, bool whole) {
  const auto folder = AbsolutePath(run.folder()).lexically_normal();
  return whole ? folder.string() : folder.filename().string();
}

// In the order of each run's table.
Result<std::vector<Contender>> Gather(const std::vector<RunStore>& runs,
                                      const ReportFilter& filter) {
  std::vector<Contender> all;
  std::map<std::string, int> names;
  std::set<std::string> folders;
  for (const RunStore& run : runs) folders.insert(FolderName(run, false));
  for (const RunStore& run : runs) {
    const Result<RunMeta> meta = run.Meta();
    if (!meta.ok()) return meta.status();
    Result<std::vector<EpisodeRow>> rows = run.Episodes();
    if (!rows.ok()) return rows.status();
    if (Status status = ApplyFilter(filter, &*rows); !status.ok()) return status;
    std::vector<std::string> order;
    const auto listed = meta->find("arms");
    if (listed != meta->end()) {
      const auto json = nlohmann::json::parse(listed->second, nullptr, false);
      for (const auto& arm : json) {
        if (arm.is_string()) order.push_back(arm.get<std::string>());
      }
    }
    for (const EpisodeRow& row : *rows) {
      if (std::ranges::find(order, row.id.arm) == order.end()) order.push_back(row.id.arm);
    }
    for (const std::string& arm : order) {
      Contender c{&run, arm, arm, {}, {}, 0};
      for (const EpisodeRow& row : *rows) {
        if (row.id.arm == arm) c.rows[{{row.id.task, row.id.delay}, row.id.seed}] = row;
      }
      if (c.rows.empty()) continue;
      const Result<EpisodeRecord> first = run.Episode(c.rows.begin()->second.id);
      if (!first.ok()) return first.status();
      c.split = first->begin.split;
      c.run_seed = first->begin.run_seed;
      ++names[arm];
      all.push_back(std::move(c));
    }
  }
  for (Contender& c : all) {
    if (names[c.arm] > 1) c.name += "@" + FolderName(*c.run, folders.size() < runs.size());
  }
  return all;
}

Status Pick(const CompareOptions& options, std::vector<Contender>* all, size_t* reference) {
  std::vector<std::string> names;
  for (const Contender& c : *all) names.push_back(c.name);
  const auto find = [&](const char* flag, const std::string& name) -> Result<size_t> {
    const auto found = std::ranges::find(*all, name, &Contender::name);
    if (found != all->end()) return static_cast<size_t>(found - all->begin());
    return BadInput(fmt::format("{} {}: no such arm, only {}{}", flag, name, Join(names, ", "),
                                DidYouMean(name, names)));
  };
  if (!options.arms.empty()) {
    std::vector<Contender> picked;
    std::set<std::string> seen;
    for (const std::string& name : options.arms) {
      const Result<size_t> at = find("--arms", name);
      if (!at.ok()) return at.status();
      if (seen.insert(name).second) picked.push_back((*all)[*at]);
    }
    if (!options.against.empty() && !seen.contains(options.against)) {
      const Result<size_t> at = find("--against", options.against);
      if (!at.ok()) return at.status();
      picked.push_back((*all)[*at]);
    }
    *all = std::move(picked);
  }
  *reference = 0;
  if (!options.against.empty()) {
    const Result<size_t> at = find("--against", options.against);
    if (!at.ok()) return at.status();
    *reference = static_cast<size_t>(std::ranges::find(*all, options.against, &Contender::name) -
                                     all->begin());
  } else {
    const auto full = std::ranges::find(*all, "full", &Contender::name);
    if (full != all->end()) *reference = static_cast<size_t>(full - all->begin());
  }
  if (all->size() < 2) {
    return BadInput(fmt::format("nothing to compare: {}",
                                all->empty() ? "no episodes" : "only arm " + all->front().name));
  }
  return {};
}

// A scalar of the run's config by its path, as in "suite.cues"; empty when it is not there.
std::string Setting(const RunMeta& meta, const std::string& path) {
  const auto config = meta.find("config");
  if (config == meta.end()) return "";
  const Result<ConfigNode> root = ParseYaml(config->second, "(the run's config)", false);
  if (!root.ok()) return "";
  const ConfigNode* node = &*root;
  for (size_t begin = 0; node != nullptr && begin <= path.size();) {
    const size_t end = std::min(path.find('.', begin), path.size());
    node = node->Find(path.substr(begin, end - begin));
    begin = end + 1;
  }
  return node == nullptr ? "" : node->text;
}

// What a run from before a fact was kept had, where that is known.
std::string BeforeItWasKept(const std::string& key) {
  const std::map<std::string, std::string> known = {
      {"batch", "1"}, {"suite.cues", "early"}, {"suite.decoys", "false"}, {"suite.layout", "seen"}};
  const auto found = known.find(key);
  return found == known.end() ? "not recorded" : found->second;
}

// What must be the same for a pair to be a pair, and what a reader must know if it is not.
Status CheckSameStudy(const std::vector<Contender>& arms, std::vector<std::string>* notes) {
  const Contender& first = arms.front();
  std::set<std::string> said;
  for (const Contender& c : arms) {
    if (c.split != first.split || c.run_seed != first.run_seed) {
      return BadInput(
          fmt::format("arms {} and {} were not run on the same episodes: "
                      "split {}, seed {} against split {}, seed {}",
                      first.name, c.name, first.split, first.run_seed, c.split, c.run_seed));
    }
    if (c.run == first.run) continue;
    const Result<RunMeta> was = first.run->Meta(), now = c.run->Meta();
    if (!was.ok()) return was.status();
    if (!now.ok()) return now.status();
    for (const char* key :
         {"suite.cues", "suite.decoys", "suite.layout", "instructions", "disturbance",
          "checkpoint_hash", "assets_hash", "version", "commit", "cpu", "cpu_kernels",
          "gl_renderer", "device", "workers", "batch", "pinned"}) {
      const auto value = [&](const RunMeta& meta) {
        const auto found = meta.find(key);
        const std::string of_config = found == meta.end() ? Setting(meta, key) : "";
        if (found != meta.end()) return found->second;
        return of_config.empty() ? BeforeItWasKept(key) : of_config;
      };
      if (value(*was) == value(*now)) continue;
      std::string note =
          fmt::format("{} differs: {} in {}, {} in {}", key, value(*was),
                      FolderName(*first.run, true), value(*now), FolderName(*c.run, true));
      if (said.insert(note).second) notes->push_back(std::move(note));
    }
  }
  return {};
}

Status CheckSameEpisodes(const CompareOptions& options, std::vector<Contender>* arms,
                         std::vector<std::string>* notes) {
  std::set<Where> common;
  for (const auto& [where, row] : arms->front().rows) common.insert(where);
  for (const Contender& c : *arms) {
    std::erase_if(common, [&](const Where& where) { return !c.rows.contains(where); });
  }
  std::vector<std::string> extras;
  for (const Contender& c : *arms) {
    if (c.rows.size() == common.size()) continue;
    for (const auto& [where, row] : c.rows) {
      if (common.contains(where)) continue;
      extras.push_back(fmt::format("{} has {} episodes that others lack, such as {} seed {}",
                                   c.name, c.rows.size() - common.size(), CellName(where.first),
                                   where.second));
      break;
    }
  }
  if (extras.empty()) return {};
  if (!options.intersect) {
    return BadInput(
        fmt::format("the arms were not run on the same episodes: {}. Finish the run, "
                    "choose --arms, or compare the {} episodes "
                    "that all have with --intersect",
                    Join(extras, "; "), common.size()));
  }
  if (common.empty()) return BadInput("the arms have no episode in common");
  for (const std::string& extra : extras) notes->push_back("left out: " + extra);
  notes->push_back(fmt::format("compared: the {} episodes that all arms have", common.size()));
  for (Contender& c : *arms) {
    std::erase_if(c.rows, [&](const auto& item) { return !common.contains(item.first); });
  }
  return {};
}

Tail TailOf(const std::vector<InferenceEvent>& events) {
  Tail tail;
  for (const InferenceEvent& e : LastTenth(events)) {
    tail.latency.push_back(e.cost.latency.total_ms());
    tail.decoder.push_back(e.cost.latency.decoder_ms());
  }
  return tail;
}

Result<EpisodePair> PairOf(const Contender& a, const EpisodeRow& ra, const Contender& b,
                           const EpisodeRow& rb) {
  const Result<EpisodeRecord> ea = a.run->Episode(ra.id), eb = b.run->Episode(rb.id);
  if (!ea.ok()) return ea.status();
  if (!eb.ok()) return eb.status();
  EpisodePair p;
  p.task = ra.id.task;
  p.delay = ra.id.delay;
  p.seed = ra.id.seed;
  p.a_success = ra.success;
  p.b_success = rb.success;
  p.a_progress = ra.progress;
  p.b_progress = rb.progress;
  p.a_seconds = ra.steps / ra.control_rate_hz;
  p.b_seconds = rb.steps / rb.control_rate_hz;
  p.a_horizon_s = ra.horizon_steps / ra.control_rate_hz;
  p.b_horizon_s = rb.horizon_steps / rb.control_rate_hz;
  p.chance = ra.chance;
  p.a_costs = CostsOf(ea->inferences), p.b_costs = CostsOf(eb->inferences);
  p.a_tail = TailOf(ea->inferences), p.b_tail = TailOf(eb->inferences);
  p.divergence = DivergenceOf(*ea, *eb);
  if (!ra.video.empty()) p.a_video = (a.run->folder() / ra.video).string();
  if (!rb.video.empty()) p.b_video = (b.run->folder() / rb.video).string();
  return p;
}

// A fixed stream: the same episodes give the same interval.
Rng BootstrapRng(const std::string& purpose) { return Rng(StableHash(purpose)); }

// p95 of the arm's times / p95 of the reference's.
double TailRatio(const std::vector<const EpisodePair*>& pairs, std::vector<double> Tail::*times) {
  std::vector<double> a, b;
  for (const EpisodePair* p : pairs) {
    a.insert(a.end(), (p->a_tail.*times).begin(), (p->a_tail.*times).end());
    b.insert(b.end(), (p->b_tail.*times).begin(), (p->b_tail.*times).end());
  }
  return Quantile(a, 0.95) / Quantile(b, 0.95);
}

CostPairs CostsOfPairs(const std::vector<const EpisodePair*>& pairs) {
  CostPairs costs;
  for (const EpisodePair* p : pairs) costs.Add(p->a_costs, p->b_costs);
  return costs;
}

// Everything but what pools differently over cells.
ComparedCell Summarize(const std::vector<const EpisodePair*>& pairs, const Comparison& study) {
  ComparedCell c;
  std::vector<double> a, b, progress_a, progress_b;
  std::vector<TimedOutcome> a_times, b_times;
  int64_t a_wins = 0, b_wins = 0;
  for (const EpisodePair* p : pairs) {
    c.pairs.Add(p->a_success, p->b_success);
    a_wins += p->a_success ? 1 : 0;
    b_wins += p->b_success ? 1 : 0;
    a.push_back(p->a_success ? 1 : 0);
    b.push_back(p->b_success ? 1 : 0);
    progress_a.push_back(p->a_progress);
    progress_b.push_back(p->b_progress);
    a_times.push_back({p->a_success, p->a_seconds, p->a_horizon_s});
    b_times.push_back({p->b_success, p->b_seconds, p->b_horizon_s});
  }
  const double margin = study.margin_points / 100;
  c.a_success = WilsonInterval(a_wins, c.pairs.n);
  c.b_success = WilsonInterval(b_wins, c.pairs.n);
  c.difference = TangoInterval(c.pairs);
  c.difference_bootstrap = PairedBootstrap(a, b, BootstrapRng("difference"));
  c.anytime = DifferenceSequence(c.pairs);
  c.mcnemar_p = c.pairs.n > 0 ? McNemarExact(c.pairs.only_a, c.pairs.only_b) : kNan;
  c.non_inferiority = TestNonInferiority(c.pairs, margin);
  c.progress = PairedBootstrap(progress_a, progress_b, BootstrapRng("progress"));
  c.latency_p95_ratio = TailRatio(pairs, &Tail::latency);
  c.decoder_p95_ratio = TailRatio(pairs, &Tail::decoder);
  c.a_time = TimeToSuccessOf(a_times, BootstrapRng("time"));
  c.b_time = TimeToSuccessOf(b_times, BootstrapRng("time"));
  // Half a pair more on either side: none seen is not none there.
  const double n = static_cast<double>(c.pairs.n);
  const double share = (static_cast<double>(c.pairs.only_a + c.pairs.only_b) + 1) / (n + 2);
  const int planned = study.planned_pairs > 0 ? study.planned_pairs : static_cast<int>(c.pairs.n);
  c.detectable = DetectableDifference(planned, share, kPower);
  c.power_margin = NonInferiorityPower(planned, share / 2, share / 2, margin);
  return c;
}

// Over the cells of one kind.
ComparedCell Pool(const std::vector<EpisodePair>& episodes, const std::vector<ComparedCell>& cells,
                  bool memory, const Comparison& study) {
  std::vector<const EpisodePair*> all;
  std::map<Cell, std::vector<const EpisodePair*>> of_cell;
  for (const EpisodePair& p : episodes) of_cell[CellOf(p)].push_back(&p);
  std::vector<Stratum> a, b;
  std::vector<std::vector<double>> success, progress;
  std::vector<CostPairs> costs;
  int left_out = 0;
  for (const ComparedCell& c : cells) {
    if (c.memory != memory) continue;
    const auto wins = [&](const Interval& rate) {
      return c.pairs.n == 0 ? 0 : std::llround(rate.value * static_cast<double>(c.pairs.n));
    };
    a.push_back({wins(c.a_success), c.pairs.n});
    b.push_back({wins(c.b_success), c.pairs.n});
    const auto& pairs = of_cell[{c.task, c.delay}];
    all.insert(all.end(), pairs.begin(), pairs.end());
    success.emplace_back(), progress.emplace_back();
    for (const EpisodePair* p : pairs) {
      success.back().push_back((p->a_success ? 1.0 : 0.0) - (p->b_success ? 1.0 : 0.0));
      progress.back().push_back(p->a_progress - p->b_progress);
    }
    costs.push_back(CostsOfPairs(pairs));
    left_out += c.left_out;
  }
  ComparedCell pooled = Summarize(all, study);
  pooled.memory = memory;
  pooled.cells = static_cast<int>(a.size());
  pooled.left_out = left_out;
  pooled.a_success = StratifiedRate(a);
  pooled.b_success = StratifiedRate(b);
  pooled.difference_bootstrap = StratifiedBootstrap(success, BootstrapRng("difference"));
  pooled.progress = StratifiedBootstrap(progress, BootstrapRng("progress"));
  pooled.ratios = RatiosOf(costs);
  return pooled;
}

Result<ComparedArm> CompareArm(const Contender& a, const Contender& b, const Comparison& study) {
  ComparedArm out{a.name, b.name, {}, {}};
  std::map<Cell, int> left_out;
  std::set<Cell> memory;
  for (const auto& [where, ra] : a.rows) {
    const EpisodeRow& rb = b.rows.at(where);
    left_out[where.first] += 0;
    if (ra.chance > 0) memory.insert(where.first);
    if (ra.is_error() || rb.is_error() || !ra.comparable || !rb.comparable) {
      ++left_out[where.first];
      continue;
    }
    Result<EpisodePair> pair = PairOf(a, ra, b, rb);
    if (!pair.ok()) return pair.status();
    out.episodes.push_back(*std::move(pair));
  }
  for (const auto& [cell, n] : left_out) {
    std::vector<const EpisodePair*> pairs;
    for (const EpisodePair& p : out.episodes) {
      if (CellOf(p) == cell) pairs.push_back(&p);
    }
    ComparedCell compared = Summarize(pairs, study);
    const CostPairs costs = CostsOfPairs(pairs);
    compared.ratios = RatiosOf(std::span(&costs, 1));
    compared.task = cell.first;
    compared.delay = cell.second;
    compared.memory = memory.contains(cell);
    compared.left_out = n;
    out.cells.push_back(std::move(compared));
  }
  const std::vector<ComparedCell> cells = out.cells;
  for (const bool kind : {true, false}) {
    if (std::ranges::count(cells, kind, &ComparedCell::memory) < 2) continue;
    out.cells.push_back(Pool(out.episodes, cells, kind, study));
  }
  return out;
}

// Holm's step-down over every cell of every arm; pooled rows are tests of their own family.
void AdjustByHolm(Comparison* comparison) {
  for (const bool pooled : {false, true}) {
    std::vector<ComparedCell*> tests;
    for (ComparedArm& arm : comparison->arms) {
      for (ComparedCell& cell : arm.cells) {
        if (cell.task.empty() == pooled && std::isfinite(cell.mcnemar_p)) tests.push_back(&cell);
      }
    }
    std::ranges::sort(tests, {}, &ComparedCell::mcnemar_p);
    double floor = 0;
    for (size_t i = 0; i < tests.size(); ++i) {
      floor = std::max(floor, tests[i]->mcnemar_p * static_cast<double>(tests.size() - i));
      tests[i]->holm_p = std::min(1.0, floor);
    }
  }
}

}  // namespace

Divergence DivergenceOf(const EpisodeRecord& a, const EpisodeRecord& b) {
  Divergence out;
  const auto same = [](const InferenceEvent& x, const InferenceEvent& y) {
    return x.changes == y.changes && x.cost.cached_tokens == y.cost.cached_tokens &&
           x.cost.kv_live_bytes == y.cost.kv_live_bytes;
  };
  for (size_t i = 0; i < std::min(a.inferences.size(), b.inferences.size()); ++i) {
    if (same(a.inferences[i], b.inferences[i])) continue;
    out.cache_step = std::min(a.inferences[i].control_step, b.inferences[i].control_step);
    break;
  }
  const size_t steps = std::min(a.steps.size(), b.steps.size());
  for (size_t i = 0; i < steps && out.action_step < 0; ++i) {
    if (a.steps[i].action != b.steps[i].action) out.action_step = a.steps[i].control_step;
  }
  if (out.action_step < 0 && steps > 0 && a.steps.size() != b.steps.size()) {
    out.action_step = static_cast<int>(steps);
  }
  return out;
}

Result<Comparison> CompareRuns(const std::vector<RunStore>& runs, const CompareOptions& options) {
  Comparison out;
  out.margin_points = options.margin_points;
  out.planned_pairs = options.planned_pairs;
  Result<std::vector<Contender>> arms = Gather(runs, options.filter);
  if (!arms.ok()) return arms.status();
  size_t reference = 0;
  if (Status status = Pick(options, &*arms, &reference); !status.ok()) return status;
  if (Status status = CheckSameStudy(*arms, &out.notes); !status.ok()) return status;
  if (Status status = CheckSameEpisodes(options, &*arms, &out.notes); !status.ok()) return status;
  std::vector<RunMeta> metas;
  for (const Contender& arm : *arms) {
    Result<RunMeta> meta = arm.run->Meta();
    if (!meta.ok()) return meta.status();
    if (HasRandomWeights(*meta)) {
      return BadInput(arm.name + ": " + kNoSuccess + " to compare; kvla report has its costs");
    }
    metas.push_back(*std::move(meta));
  }
  out.why_not_comparable = WhyNotComparable(metas);
  for (size_t i = 0; i < arms->size(); ++i) {
    if (i == reference) continue;
    Result<ComparedArm> arm = CompareArm((*arms)[i], (*arms)[reference], out);
    if (!arm.ok()) return arm.status();
    out.arms.push_back(*std::move(arm));
  }
  AdjustByHolm(&out);
  return out;
}

}  // namespace kvla

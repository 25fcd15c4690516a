// SPDX-License-Identifier: Apache-2.0
// A comparison as text and as JSON.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "results/report/comparable.h"
#include "results/report/compare.h"
#include "results/report/json_values.h"
#include "results/report/text_table.h"

namespace kvla {
namespace {

using nlohmann::json;

Interval Points(const Interval& i) { return {100 * i.value, 100 * i.low, 100 * i.high}; }

std::string CellName(const std::string& task, const std::string& delay) {
  return task + (delay.empty() ? "" : "/" + delay);
}

std::string CellName(const ComparedCell& c) {
  if (!c.task.empty()) return CellName(c.task, c.delay);
  return fmt::format("{} ({})", c.memory ? "memory cells" : "controls", c.cells);
}

std::string Step(int step) { return step < 0 ? "-" : std::to_string(step); }

const char* Winner(const EpisodePair& p) {
  if (p.a_success == p.b_success) return p.a_success ? "both" : "neither";
  return p.a_success ? "arm" : "reference";
}

json TimeJson(const TimeToSuccess& t) {
  return {{"successes", t.successes},
          {"p50_s", JsonNumber(t.p50_s)},
          {"p90_s", JsonNumber(t.p90_s)},
          {"restricted_mean_s", JsonInterval(t.restricted_s)}};
}

json CellJson(const ComparedCell& c) {
  const NonInferiority& n = c.non_inferiority;
  json out = {
      {"task", c.task},
      {"delay", c.delay},
      {"pooled", c.task.empty()},
      {"kind", c.memory ? "memory" : "control"},
      {"cells", c.cells},
      {"pairs", c.pairs.n},
      {"left_out", c.left_out},
      {"only_arm", c.pairs.only_a},
      {"only_reference", c.pairs.only_b},
      {"success", {{"arm", JsonInterval(c.a_success)}, {"reference", JsonInterval(c.b_success)}}},
      {"difference", JsonInterval(c.difference)},
      {"difference_bootstrap", JsonInterval(c.difference_bootstrap)},
      {"difference_anytime", JsonInterval(c.anytime)},
      {"mcnemar_p", JsonNumber(c.mcnemar_p)},
      {"holm_p", JsonNumber(c.holm_p)},
      {"non_inferiority",
       {{"margin", n.margin}, {"p", JsonNumber(n.p)}, {"verdict", InferiorityName(n.verdict)}}},
      {"progress", JsonInterval(c.progress)},
      {"latency_last10_p95_ratio", JsonNumber(c.latency_p95_ratio)},
      {"decoder_p95_ratio", JsonNumber(c.decoder_p95_ratio)},
      {"time_to_success", {{"arm", TimeJson(c.a_time)}, {"reference", TimeJson(c.b_time)}}},
      {"power",
       {{"detectable_difference_80", JsonNumber(c.detectable)},
        {"non_inferiority_if_equal", JsonNumber(c.power_margin)}}}};
  out.update(RatiosJson(c.ratios));
  return out;
}

json PairJson(const EpisodePair& p) {
  json out = {{"task", p.task},
              {"delay", p.delay},
              {"seed", p.seed},
              {"won", Winner(p)},
              {"progress", {{"arm", p.a_progress}, {"reference", p.b_progress}}},
              {"seconds", {{"arm", p.a_seconds}, {"reference", p.b_seconds}}},
              {"cache_parts_at_step", nullptr},
              {"actions_part_at_step", nullptr}};
  if (p.divergence.cache_step >= 0) out["cache_parts_at_step"] = p.divergence.cache_step;
  if (p.divergence.action_step >= 0) out["actions_part_at_step"] = p.divergence.action_step;
  if (!p.a_video.empty()) out["video"]["arm"] = p.a_video;
  if (!p.b_video.empty()) out["video"]["reference"] = p.b_video;
  return out;
}

std::string FormatArm(const ComparedArm& arm, const Comparison& study, bool all) {
  const std::string a = Shorten(arm.arm, kMaxName), b = Shorten(arm.against, kMaxName);
  TextTable success("  success on the same episodes (%; difference in points; episodes won alone)",
                    {"", "pairs", "arm", "ref.", "difference", "alone", "ref.", "p", "Holm"});
  TextTable verdict(
      fmt::format(
          "  what can be said from here (difference that holds at any stop, and resampled; is "
          "it within {:g} points?; found: difference that shows with 80% power; shown: "
          "chance to show the margin, if equal)",
          study.margin_points),
      {"", "any stop", "resampled", "within", "found", "shown"});
  TextTable cost("  costs (arm / reference, ratio of sums; last: the last 10% of each episode)",
                 {"", "live KV", "FLOPs", "decoder, last", "inference, last"});
  TextTable rest("  more costs, and how far it gets (seconds to success: median)",
                 {"", "attending KV", "dec p95", "inf p95", "progress, points", "s", "ref."});
  const std::string mark = study.why_not_comparable.empty() ? "" : kNotComparableMark;
  const auto time = [&](const std::string& ratio) { return ratio == "-" ? ratio : mark + ratio; };
  int left_out = 0;
  for (const ComparedCell& c : arm.cells) {
    const std::string name = Shorten(CellName(c), kMaxName);
    if (!c.task.empty()) left_out += c.left_out;
    success.Add("", {name, std::to_string(c.pairs.n), Fixed(100 * c.a_success.value, 1),
                     Fixed(100 * c.b_success.value, 1), Signed(Points(c.difference)),
                     std::to_string(c.pairs.only_a), std::to_string(c.pairs.only_b),
                     PValue(c.mcnemar_p), PValue(c.holm_p)});
    verdict.Add("", {name, Signed(Points(c.anytime)), Signed(Points(c.difference_bootstrap)),
                     InferiorityName(c.non_inferiority.verdict),
                     std::isfinite(c.detectable) ? Fixed(100 * c.detectable, 1) : "-",
                     Fixed(100 * c.power_margin, 0) + "%"});
    const CostRatios& r = c.ratios;
    cost.Add("", {name, Ratio(r.kv_bytes), Fixed(r.flops.value, 3), time(Ratio(r.decoder_last10)),
                  time(Ratio(r.latency_last10))});
    rest.Add("", {name, Ratio(r.attending_bytes), time(Fixed(c.decoder_p95_ratio, 3)),
                  time(Fixed(c.latency_p95_ratio, 3)), Signed(Points(c.progress)),
                  Fixed(c.a_time.p50_s, 1), Fixed(c.b_time.p50_s, 1)});
  }
  std::string out = Wrap(arm.arm + " against " + arm.against) + "\n" + success.Format() + "\n" +
                    verdict.Format() + "\n" + cost.Format() + "\n" + rest.Format();
  if (left_out > 0) {
    out += fmt::format("  {} pairs left out: an error, or a person intervened\n", left_out);
  }
  TextTable episodes(all ? "  episodes (the control steps at which caches and then actions part)"
                         : "  episodes that one of them alone won (the control steps at "
                           "which caches and then actions part)",
                     {"", "seed", "won", "caches part", "actions part", "progress", "ref."});
  for (const EpisodePair& p : arm.episodes) {
    if (!all && p.a_success == p.b_success) continue;
    const std::string won = p.a_success == p.b_success ? Winner(p) : p.a_success ? a : b;
    episodes.Add("", {Shorten(CellName(p.task, p.delay), kMaxName), std::to_string(p.seed), won,
                      Step(p.divergence.cache_step), Step(p.divergence.action_step),
                      Fixed(100 * p.a_progress, 0), Fixed(100 * p.b_progress, 0)});
  }
  if (!episodes.empty()) out += "\n" + episodes.Format();
  return out;
}

}  // namespace

std::string FormatComparison(const Comparison& comparison, bool all) {
  std::string out;
  for (const std::string& note : comparison.notes) out += "note: " + note + "\n";
  if (!comparison.why_not_comparable.empty()) {
    out += Wrap("Latencies are not comparable (ratios of them have a " +
                std::string(kNotComparableMark) + "): " + comparison.why_not_comparable) +
           "\n";
  }
  if (!out.empty()) out += "\n";
  for (size_t i = 0; i < comparison.arms.size(); ++i) {
    out += (i > 0 ? "\n" : "") + FormatArm(comparison.arms[i], comparison, all);
  }
  out +=
      "\n" +
      Wrap(fmt::format(
          "Differences are arm minus reference, "
          "with 95% intervals: Tango's score interval (pooled: "
          "over all pairs); resampled for progress and ratios. Pooled success and progress are "
          "means of the cells, pooled costs ratios of sums over them. Within {:g} points: is the "
          "arm worse than the reference by less than that (one-sided 2.5%)? p: McNemar's exact "
          "test; Holm: adjusted for all cells here.",
          comparison.margin_points)) +
      "\n";
  if (comparison.planned_pairs > 0) {
    out += fmt::format("Power is that of {} pairs.\n", comparison.planned_pairs);
  }
  return Printable(out);
}

json ComparisonJson(const Comparison& comparison) {
  json out = {{"margin_points", comparison.margin_points},
              {"notes", comparison.notes},
              {"latency", LatencyJson(comparison.why_not_comparable)},
              {"comparisons", json::array()}};
  for (const ComparedArm& arm : comparison.arms) {
    json item = {{"arm", arm.arm},
                 {"reference", arm.against},
                 {"cells", json::array()},
                 {"episodes", json::array()}};
    for (const ComparedCell& cell : arm.cells) item["cells"].push_back(CellJson(cell));
    for (const EpisodePair& pair : arm.episodes) item["episodes"].push_back(PairJson(pair));
    out["comparisons"].push_back(std::move(item));
  }
  return out;
}

}  // namespace kvla

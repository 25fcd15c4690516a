// A comparison as text and as JSON.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "results/compare.h"
#include "results/json_values.h"
#include "results/text_table.h"

namespace kvla {
namespace {

using nlohmann::json;

Interval Points(const Interval& i) { return {100 * i.value, 100 * i.low, 100 * i.high}; }

std::string CellName(const std::string& task, const std::string& delay) {
  if (task.empty()) return "all, equal weight";
  return task + (delay.empty() ? "" : "/" + delay);
}

std::string Ratio(const Interval& i) {
  if (!std::isfinite(i.value)) return "-";
  return fmt::format("{:.3f} [{:.3f}, {:.3f}]", i.value, i.low, i.high);
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
  return {
      {"task", c.task},
      {"delay", c.delay},
      {"pooled", c.task.empty()},
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
      {"kv_bytes_ratio", JsonInterval(c.bytes_ratio)},
      {"flops_ratio", JsonInterval(c.flops_ratio)},
      {"decoder_ratio", JsonInterval(c.decoder_ratio)},
      {"latency_ratio", JsonInterval(c.latency_ratio)},
      {"time_to_success", {{"arm", TimeJson(c.a_time)}, {"reference", TimeJson(c.b_time)}}},
      {"power",
       {{"detectable_difference_80", JsonNumber(c.detectable)},
        {"non_inferiority_if_equal", JsonNumber(c.power_margin)}}}};
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
  TextTable success(
      fmt::format("{} against {}: success on the same episodes (%, difference in points)", arm.arm,
                  arm.against),
      {"", "pairs", "arm", "reference", "difference", "won alone", "reference", "McNemar p", "Holm",
       fmt::format("within {:g} points", study.margin_points)});
  TextTable rest("  what it costs (ratios of means) and how far it gets",
                 {"", "KV bytes", "FLOPs", "decoder, last 10%", "progress, points",
                  "s to success, p50", "reference"});
  TextTable power("  what can be said from here",
                  {"", "difference, valid at any stop", "bootstrap", "found with 80% power",
                   "shows the margin, if equal"});
  int left_out = 0;
  for (const ComparedCell& c : arm.cells) {
    const std::string name = Shorten(CellName(c.task, c.delay), kMaxName);
    if (!c.task.empty()) left_out += c.left_out;
    success.Add(
        "", {name, std::to_string(c.pairs.n), Fixed(100 * c.a_success.value, 1),
             Fixed(100 * c.b_success.value, 1), Signed(Points(c.difference)),
             std::to_string(c.pairs.only_a), std::to_string(c.pairs.only_b), PValue(c.mcnemar_p),
             PValue(c.holm_p), InferiorityName(c.non_inferiority.verdict)});
    rest.Add("", {name, Ratio(c.bytes_ratio), Fixed(c.flops_ratio.value, 3), Ratio(c.decoder_ratio),
                  Signed(Points(c.progress)), Fixed(c.a_time.p50_s, 1), Fixed(c.b_time.p50_s, 1)});
    power.Add("", {name, Signed(Points(c.anytime)), Signed(Points(c.difference_bootstrap)),
                   std::isfinite(c.detectable) ? Fixed(100 * c.detectable, 1) + " points" : "-",
                   Fixed(100 * c.power_margin, 0) + "%"});
  }
  std::string out = success.Format() + "\n" + rest.Format() + "\n" + power.Format();
  if (left_out > 0) {
    out += fmt::format("  {} pairs left out: an error, or a person intervened\n", left_out);
  }
  TextTable episodes(
      all ? "  episodes" : "  episodes that one of them alone won",
      {"", "seed", "won", "cache parts at step", "actions part at step", "progress", "reference"});
  for (const EpisodePair& p : arm.episodes) {
    if (!all && p.a_success == p.b_success) continue;
    const std::string won = p.a_success == p.b_success ? Winner(p) : p.a_success ? a : b;
    episodes.Add("", {CellName(p.task, p.delay), std::to_string(p.seed), won,
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
  if (!out.empty()) out += "\n";
  for (size_t i = 0; i < comparison.arms.size(); ++i) {
    out += (i > 0 ? "\n" : "") + FormatArm(comparison.arms[i], comparison, all);
  }
  out += fmt::format(
      "\nDifferences are arm minus reference, with 95% intervals: Tango's score interval; "
      "resampled "
      "for progress and ratios.\n\"within {:g} points\": is the arm worse than the reference by "
      "less "
      "than that (one-sided 2.5%)? Holm: adjusted for all cells here.\n",
      comparison.margin_points);
  if (comparison.planned_pairs > 0) {
    out += fmt::format("Power is that of {} pairs.\n", comparison.planned_pairs);
  }
  return Printable(out);
}

json ComparisonJson(const Comparison& comparison) {
  json out = {{"margin_points", comparison.margin_points},
              {"notes", comparison.notes},
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

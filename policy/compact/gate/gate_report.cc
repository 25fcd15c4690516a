// SPDX-License-Identifier: Apache-2.0
#include "policy/compact/gate/gate_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <utility>

namespace kvla {
namespace {

constexpr int kThirds = 3;
constexpr size_t kLeastRanked = 3;

std::vector<double> Ranks(std::span<const double> values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::sort(order, {}, [&](size_t i) { return values[i]; });
  std::vector<double> ranks(values.size());
  for (size_t begin = 0, end = 0; begin < order.size(); begin = end) {
    while (end < order.size() && values[order[end]] == values[order[begin]]) ++end;
    const double mean = 0.5 * static_cast<double>(begin + end - 1);
    for (size_t i = begin; i < end; ++i) ranks[order[i]] = mean;
  }
  return ranks;
}

struct CueRate {
  int episodes = 0, cue = 0, kept = 0, cue_kept = 0;

  void Add(const LabelledChunks& episode, const torch::Tensor& logits) {
    ++episodes;
    for (int64_t i = 0; i < logits.size(0); ++i) {
      const bool saw = episode.saw_cue[static_cast<size_t>(i)];
      const bool keeps = logits[i].item<float>() >= 0;
      cue += saw;
      kept += keeps;
      cue_kept += saw && keeps;
    }
  }
  nlohmann::json Json() const {
    const auto share = [](int part, int of) {
      return of > 0 ? nlohmann::json(1.0 * part / of) : nlohmann::json();
    };
    return {{"episodes", episodes},
            {"cue_chunks", cue},
            {"kept_chunks", kept},
            {"recall", share(cue_kept, cue)},
            {"precision", share(cue_kept, kept)}};
  }
};

}  // namespace

std::optional<double> RankCorrelation(std::span<const double> a, std::span<const double> b) {
  if (a.size() < kLeastRanked) return std::nullopt;
  const std::vector<double> x = Ranks(a), y = Ranks(b);
  const double mean = 0.5 * static_cast<double>(a.size() - 1);
  double xy = 0, xx = 0, yy = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    xy += (x[i] - mean) * (y[i] - mean);
    xx += (x[i] - mean) * (x[i] - mean);
    yy += (y[i] - mean) * (y[i] - mean);
  }
  if (xx == 0 || yy == 0) return std::nullopt;
  return xy / std::sqrt(xx * yy);
}

nlohmann::json CueReport(std::span<const LabelledChunks> episodes,
                         std::span<const torch::Tensor> logits, double block_seconds) {
  CueRate all;
  std::map<std::string, CueRate> by_value;
  std::vector<size_t> with_cue;
  for (size_t e = 0; e < episodes.size(); ++e) {
    if (episodes[e].onset_block < 0) continue;
    with_cue.push_back(e);
    all.Add(episodes[e], logits[e]);
    by_value[fmt::format("{}/{}", episodes[e].task, episodes[e].target)].Add(episodes[e],
                                                                             logits[e]);
  }
  nlohmann::json out = {{"all", all.Json()},
                        {"by_value", nlohmann::json::object()},
                        {"by_onset", nlohmann::json::array()}};
  for (const auto& [value, rate] : by_value) out["by_value"][value] = rate.Json();
  const auto onset = [&](size_t e) { return episodes[e].onset_block; };
  std::ranges::stable_sort(with_cue, {}, onset);
  for (size_t third = 0; third < kThirds; ++third) {
    const size_t begin = with_cue.size() * third / kThirds;
    const size_t end = with_cue.size() * (third + 1) / kThirds;
    if (begin == end) continue;
    CueRate rate;
    for (size_t i = begin; i < end; ++i) rate.Add(episodes[with_cue[i]], logits[with_cue[i]]);
    nlohmann::json row = rate.Json();
    row["from_s"] = onset(with_cue[begin]) * block_seconds;
    row["to_s"] = onset(with_cue[end - 1]) * block_seconds;
    out["by_onset"].push_back(std::move(row));
  }
  return out;
}

nlohmann::json AgreementReport(std::span<const LabelledChunks> episodes,
                               std::span<const torch::Tensor> logits) {
  double total = 0;
  int counted = 0;
  for (size_t e = 0; e < episodes.size(); ++e) {
    const std::vector<double>& change = episodes[e].change;
    std::vector<double> says;
    for (size_t i = 0; i < change.size(); ++i) {
      says.push_back(logits[e][static_cast<int64_t>(i)].item<double>());
    }
    const std::optional<double> rank = RankCorrelation(says, change);
    if (!rank) continue;
    total += *rank;
    ++counted;
  }
  return {{"episodes", counted},
          {"rank_correlation", counted > 0 ? nlohmann::json(total / counted) : nlohmann::json()}};
}

std::string LabelTable(std::span<const LabelledChunks> episodes,
                       std::span<const torch::Tensor> logits) {
  std::string table =
      "episode,task,target,onset_block,chunk,saw_cue,loss_drop,useful,counts,action_change,logit\n";
  for (size_t e = 0; e < episodes.size(); ++e) {
    const LabelledChunks& episode = episodes[e];
    for (size_t i = 0; i < episode.drops.size(); ++i) {
      const auto chunk = static_cast<int64_t>(i);
      const std::string change =
          i < episode.change.size() ? fmt::format("{:.4f}", episode.change[i]) : "";
      table +=
          fmt::format("{},{},{},{},{},{},{:.4f},{},{},{},{:.3f}\n", e, episode.task, episode.target,
                      episode.onset_block, i, int{episode.saw_cue[i]}, episode.drops[i],
                      episode.useful[chunk].item<float>(), episode.counts[chunk].item<float>(),
                      change, logits[e][chunk].item<float>());
    }
  }
  return table;
}

}  // namespace kvla

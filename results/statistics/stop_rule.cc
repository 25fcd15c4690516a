// SPDX-License-Identifier: Apache-2.0
#include "results/statistics/stop_rule.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>

#include "base/text.h"

namespace kvla {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kTolerance = 1e-10;

double LogBeta(double a, double b) { return std::lgamma(a) + std::lgamma(b) - std::lgamma(a + b); }

// x log y, 0 where x is 0.
double XLogY(double x, double y) { return x == 0 ? 0 : x * std::log(y); }

// Where `inside` ends on the way from `from` (inside) to `to`.
template <class F>
double Edge(double from, double to, F inside) {
  if (inside(to)) return to;
  while (std::fabs(to - from) > kTolerance) {
    const double middle = 0.5 * (from + to);
    (inside(middle) ? from : to) = middle;
  }
  return to;
}

// One arm of one cell, or two of them, seed by seed; none: an error.
using Outcomes = std::vector<std::optional<bool>>;

// A statement of the run, followed over the prefixes until it is made.
class Statement {
 public:
  Statement(const StopRule& rule, double alpha, std::string name, const Outcomes* a,
            const Outcomes* b)
      : rule_(rule), alpha_(alpha), name_(std::move(name)), a_(a), b_(b) {}

  // The first prefix that decides it, at most `ended` seeds; 0 if none does.
  int DecidedAt(int ended) {
    for (int i = 0; i < ended; ++i) {
      Count(static_cast<size_t>(i));
      if (i + 1 >= rule_.min_episodes && Decided()) return i + 1;
    }
    return 0;
  }
  std::string Text() const {
    const Interval in = Sequence();
    return fmt::format("{}: {:.1f} [{:.1f}, {:.1f}] points after {} episodes", name_,
                       100 * in.value, 100 * in.low, 100 * in.high, pairs_.n);
  }

 private:
  void Count(size_t i) {
    const std::optional<bool>& a = (*a_)[i];
    if (!a || (b_ != nullptr && !(*b_)[i])) return;
    ++pairs_.n;
    if (b_ == nullptr) {
      pairs_.only_a += *a ? 1 : 0;
    } else {
      pairs_.only_a += *a && !*(*b_)[i] ? 1 : 0;
      pairs_.only_b += !*a && *(*b_)[i] ? 1 : 0;
    }
  }
  Interval Sequence() const {
    return b_ == nullptr ? RateSequence(pairs_.only_a, pairs_.n, alpha_)
                         : DifferenceSequence(pairs_, alpha_);
  }
  bool Decided() const {
    const Interval in = Sequence();
    const double bound = rule_.points / 100;
    if (rule_.rule == "rate_within") return in.high - in.low <= 2 * bound;
    if (rule_.rule == "non_inferior") return in.low > -bound || in.high < -bound;
    return in.low > 0 || in.high < 0 || (in.low > -bound && in.high < bound);
  }

  const StopRule& rule_;
  double alpha_;
  std::string name_;
  const Outcomes *a_, *b_;
  PairCounts pairs_;
};

}  // namespace

Interval RateSequence(int64_t successes, int64_t n, double alpha) {
  if (n == 0) return {kNan, 0, 1};
  const auto k = static_cast<double>(successes), rest = static_cast<double>(n - successes);
  const double rate = k / static_cast<double>(n);
  const double mixture = LogBeta(0.5 + k, 0.5 + rest) - LogBeta(0.5, 0.5);
  const auto inside = [&](double p) {
    return mixture - XLogY(k, p) - XLogY(rest, 1 - p) < -std::log(alpha);
  };
  return {rate, Edge(rate, 0, inside), Edge(rate, 1, inside)};
}

Interval DifferenceSequence(const PairCounts& pairs, double alpha) {
  if (pairs.n == 0) return {kNan, -1, 1};
  const auto n = static_cast<double>(pairs.n), a = static_cast<double>(pairs.only_a),
             b = static_cast<double>(pairs.only_b);
  const double rest = n - a - b;
  // Dirichlet(1/2, 1/2, 1/2).
  const double mixture = std::lgamma(a + 0.5) + std::lgamma(b + 0.5) + std::lgamma(rest + 0.5) -
                         std::lgamma(n + 1.5) - 3 * std::lgamma(0.5) + std::lgamma(1.5);
  const auto inside = [&](double d) {
    const double q = ConstrainedOnlyB(pairs, d);
    const double likelihood =
        XLogY(a, std::max(0.0, q + d)) + XLogY(b, q) + XLogY(rest, std::max(0.0, 1 - 2 * q - d));
    return mixture - likelihood < -std::log(alpha);
  };
  const double value = (a - b) / n;
  return {value, Edge(value, -1, inside), Edge(value, 1, inside)};
}

Status CheckStopRule(const StopRule& rule, const std::vector<std::string>& arms) {
  if (rule.rule == "never") return {};
  const auto known = [&](const char* key, const std::string& name) -> Status {
    if (std::find(arms.begin(), arms.end(), name) != arms.end()) return {};
    return BadInput(fmt::format("'stop_when.{}': no arm '{}', only {}{}", key, name,
                                Join(arms, ", "), DidYouMean(name, arms)));
  };
  if (!rule.arm.empty()) {
    if (Status status = known("arm", rule.arm); !status.ok()) return status;
  }
  if (rule.rule == "rate_within") return {};
  if (Status status = known("against", rule.against); !status.ok()) return status;
  if (rule.arm == rule.against) {
    return BadInput(fmt::format("'stop_when': arm '{}' is compared with itself", rule.arm));
  }
  if (arms.size() < 2) return BadInput("'stop_when': one arm alone has nothing to compare with");
  return {};
}

StopDecision DecideStop(const StopRule& rule, const StopPlan& plan,
                        const std::vector<EpisodeRow>& rows) {
  StopDecision decision;
  if (rule.rule == "never") return decision;
  using Key = std::pair<std::string, std::pair<std::string, std::string>>;  // arm, cell
  const auto size = static_cast<size_t>(plan.episodes);
  std::map<Key, Outcomes> outcomes;
  std::map<Key, std::vector<bool>> ended;
  for (const std::string& arm : plan.arms) {
    for (const auto& cell : plan.cells) {
      outcomes[{arm, cell}].resize(size);
      ended[{arm, cell}].resize(size);
    }
  }
  for (const EpisodeRow& row : rows) {
    const Key key{row.id.arm, {row.id.task, row.id.delay}};
    const int64_t at = row.id.seed - plan.first_episode;
    const auto found = outcomes.find(key);
    if (found == outcomes.end() || at < 0 || at >= plan.episodes) continue;
    ended[key][static_cast<size_t>(at)] = true;
    if (!row.is_error()) found->second[static_cast<size_t>(at)] = row.success;
  }
  int prefix = plan.episodes;
  for (const auto& [key, done] : ended) {
    const auto first_open = std::find(done.begin(), done.end(), false) - done.begin();
    prefix = std::min(prefix, static_cast<int>(first_open));
  }

  std::vector<Statement> statements;
  const bool compares = rule.rule != "rate_within";
  std::vector<std::string> arms;
  for (const std::string& arm : plan.arms) {
    if ((rule.arm.empty() || arm == rule.arm) && !(compares && arm == rule.against)) {
      arms.push_back(arm);
    }
  }
  const double alpha = rule.alpha / static_cast<double>(arms.size() * plan.cells.size());
  for (const std::string& arm : arms) {
    for (const auto& cell : plan.cells) {
      statements.emplace_back(rule, alpha,
                              fmt::format("{}{} on {}{}", arm, compares ? " - " + rule.against : "",
                                          cell.first, cell.second.empty() ? "" : "/" + cell.second),
                              &outcomes[{arm, cell}],
                              compares ? &outcomes[{rule.against, cell}] : nullptr);
    }
  }
  bool all = !statements.empty();
  std::vector<std::string> made, open;
  for (Statement& statement : statements) {
    const int at = statement.DecidedAt(prefix);
    decision.episodes = std::max(decision.episodes, at);
    (at > 0 ? made : open).push_back(statement.Text());
    all = all && at > 0;
  }
  decision.stop = all;
  if (!all) decision.episodes = prefix;
  decision.statements = all ? std::move(made) : std::move(open);
  return decision;
}

}  // namespace kvla

// SPDX-License-Identifier: Apache-2.0
#include "harness/language/perplexity.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <utility>

#include "kv_efficient/kv_cache.h"
#include "policy/language/language_model.h"
#include "results/report/text_table.h"
#include "tensors/torch.h"

namespace kvla {

Status CheckPerplexityConfig(const PerplexityConfig& config) {
  if (config.unscored >= config.tokens) {
    return BadInput(fmt::format("unscored is {}, tokens {}: nothing is left to guess",
                                config.unscored, config.tokens));
  }
  return CheckLanguageArms(config.arms);
}

Result<PerplexityRow> MeasurePerplexity(LanguageModel& model, const NamedCache& arm,
                                        std::span<const int64_t> ids, int unscored,
                                        const std::function<bool(int)>& on_token) {
  Result<std::unique_ptr<KvCache>> cache =
      MakeLanguageCache(model, arm, static_cast<int>(ids.size()));
  if (!cache.ok()) return cache.status();
  const auto begin = std::chrono::steady_clock::now();
  double sum = 0, squares = 0;
  int scored = 0;
  for (size_t i = 0; i + 1 < ids.size(); ++i) {
    const Result<at::Tensor> logits = model.Step(**cache, ids[i]);
    if (!logits.ok()) return logits.status().In(arm.name);
    if (static_cast<int>(i) + 1 >= unscored) {
      const at::Tensor likelihood = torch::log_softmax(logits->to(torch::kFloat64), 0);
      const double nats = -likelihood[ids[i + 1]].item<double>();
      sum += nats;
      squares += nats * nats;
      ++scored;
    }
    if (on_token && !on_token(static_cast<int>(i) + 1)) {
      return Status{StatusCode::kCancelled, "stopped"};
    }
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  PerplexityRow row{.name = arm.name, .cache = arm.cache};
  row.nats = sum / scored;
  row.perplexity = std::exp(row.nats);
  if (scored > 1) {
    const double variance = (squares - sum * sum / scored) / (scored - 1);
    row.nats_error = std::sqrt(std::max(0.0, variance) / scored);
  }
  const InferenceCost& cost = (*cache)->stats().cost;
  row.kv_bytes = cost.kv_live_bytes;
  row.method_bytes = cost.method_bytes.value_or(0);
  row.seconds = took.count();
  return row;
}

Result<std::vector<PerplexityRow>> RunPerplexity(
    const PerplexityConfig& config, const std::function<bool(int, const std::string&)>& on_token) {
  std::unique_ptr<LanguageModel> model;
  std::vector<int64_t> ids;
  if (Status s = OpenLanguageStudy(config, config.skip_bytes, &model, &ids); !s.ok()) return s;
  if (std::ssize(ids) < config.tokens) {
    return BadInput(fmt::format("{} has {} tokens behind byte {}, not {}", config.text, ids.size(),
                                config.skip_bytes, config.tokens));
  }
  ids.resize(static_cast<size_t>(config.tokens));
  std::vector<PerplexityRow> rows;
  for (const NamedCache& arm : config.arms) {
    const int before = static_cast<int>(rows.size()) * (config.tokens - 1);
    Result<PerplexityRow> row = MeasurePerplexity(*model, arm, ids, config.unscored, [&](int done) {
      return on_token(before + done, arm.name);
    });
    if (!row.ok()) return row.status();
    rows.push_back(*std::move(row));
  }
  return rows;
}

std::string FormatPerplexity(const PerplexityConfig& config, std::span<const PerplexityRow> rows) {
  TextTable table(
      fmt::format("Perplexity of tokens {} to {}", config.unscored + 1, config.tokens),
      {"cache", "method", "budget", "storage", "perplexity", "times the first", "KV KiB", "s"});
  for (const PerplexityRow& row : rows) {
    table.Add("", {row.name, row.cache.policy, BudgetText(row.cache), row.cache.storage,
                   Fixed(row.perplexity, 2), Fixed(row.perplexity / rows[0].perplexity, 3),
                   KiB(static_cast<double>(row.kv_bytes)), Fixed(row.seconds, 0)});
  }
  return table.Format();
}

nlohmann::json PerplexityJson(const PerplexityConfig& config, std::span<const PerplexityRow> rows) {
  nlohmann::json list = nlohmann::json::array();
  for (const PerplexityRow& row : rows) {
    list.push_back({{"cache", row.name},
                    {"method", row.cache.policy},
                    {"budget", BudgetText(row.cache)},
                    {"storage", row.cache.storage},
                    {"window", row.cache.window_blocks},
                    {"perplexity", row.perplexity},
                    {"nats", row.nats},
                    {"nats_standard_error", row.nats_error},
                    {"kv_bytes", row.kv_bytes},
                    {"method_bytes", row.method_bytes},
                    {"seconds", row.seconds}});
  }
  return {{"name", config.name},     {"model", config.model},       {"text", config.text},
          {"tokens", config.tokens}, {"unscored", config.unscored}, {"rows", std::move(list)}};
}

}  // namespace kvla

// SPDX-License-Identifier: Apache-2.0
#include "harness/language/needle.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "base/rng.h"
#include "kv_efficient/kv_cache.h"
#include "policy/language/language_model.h"
#include "results/report/text_table.h"
#include "results/statistics/statistics.h"
#include "tensors/torch.h"

namespace kvla {
namespace {

constexpr int kShortest = 96;  // fact, question and template, and something around them
constexpr int kDigits = 4;

constexpr const char* kNames[] = {"blue robot",   "old lighthouse", "green door", "north tower",
                                  "silver train", "quiet garden",   "red bridge", "small museum"};

// Whether the model says the answer, digit for digit, each the most likely token.
Result<bool> Finds(LanguageModel& model, KvCache& cache, const NeedlePrompt& prompt) {
  at::Tensor logits;
  for (const int64_t id : prompt.ids) {
    Result<at::Tensor> next = model.Step(cache, id);
    if (!next.ok()) return next.status();
    logits = *std::move(next);
  }
  for (size_t i = 0; i < prompt.answer.size(); ++i) {
    if (logits.argmax().item<int64_t>() != prompt.answer[i]) return false;
    if (i + 1 == prompt.answer.size()) break;
    Result<at::Tensor> next = model.Step(cache, prompt.answer[i]);
    if (!next.ok()) return next.status();
    logits = *std::move(next);
  }
  return true;
}

}  // namespace

Status CheckNeedleConfig(const NeedleConfig& config) {
  if (config.lengths.empty() || config.depths.empty()) return BadInput("no lengths or no depths");
  for (const int length : config.lengths) {
    if (length < kShortest || length > 1000000) {
      return BadInput(fmt::format("lengths: {} is not within [{}, 1000000]", length, kShortest));
    }
  }
  for (const double depth : config.depths) {
    if (!(depth >= 0 && depth <= 1)) {
      return BadInput(fmt::format("depths: {} is not within [0, 1]", depth));
    }
  }
  return CheckLanguageArms(config.arms);
}

Result<NeedlePrompt> MakeNeedlePrompt(const BytePair& tokenizer, std::span<const int64_t> passage,
                                      int length, double depth, uint64_t stream) {
  Rng rng(stream);
  const char* name = kNames[rng.UniformInt(static_cast<int>(std::size(kNames)))];
  std::string number;
  for (int i = 0; i < kDigits; ++i) number += static_cast<char>('0' + rng.UniformInt(10));
  const std::vector<int64_t> begin = tokenizer.Encode("<|im_start|>user\n");
  const std::vector<int64_t> fact =
      tokenizer.Encode(fmt::format("\nThe secret number of the {} is {}.\n", name, number));
  const std::vector<int64_t> end = tokenizer.Encode(
      fmt::format("\n\nWhat is the secret number of the {}?<|im_end|>\n<|im_start|>assistant\nThe "
                  "secret number of the {} is",
                  name, name));
  const auto around = length - std::ssize(begin) - std::ssize(fact) - std::ssize(end);
  if (around < 0 || around > std::ssize(passage)) {
    return BadInput(fmt::format("a prompt of {} tokens needs {} of the text, which has {}", length,
                                around, passage.size()));
  }
  const auto from = rng.UniformInt(static_cast<int>(std::ssize(passage) - around) + 1);
  const auto before = static_cast<int64_t>(std::lround(depth * static_cast<double>(around)));
  const auto text = passage.subspan(static_cast<size_t>(from), static_cast<size_t>(around));
  NeedlePrompt prompt;
  const auto append = [&](std::span<const int64_t> ids) {
    prompt.ids.insert(prompt.ids.end(), ids.begin(), ids.end());
  };
  append(begin);
  append(text.first(static_cast<size_t>(before)));
  append(fact);
  append(text.subspan(static_cast<size_t>(before)));
  append(end);
  prompt.answer = tokenizer.Encode(" " + number);
  return prompt;
}

Result<std::vector<NeedleCell>> RunNeedle(
    const NeedleConfig& config, const std::function<bool(int, const std::string&)>& on_trial) {
  std::unique_ptr<LanguageModel> model;
  std::vector<int64_t> passage;
  if (Status s = OpenLanguageStudy(config, 0, &model, &passage); !s.ok()) return s;
  std::vector<NeedleCell> cells;
  int done = 0;
  for (const NamedCache& arm : config.arms) {
    for (const int length : config.lengths) {
      for (const double depth : config.depths) {
        NeedleCell cell{.arm = arm.name, .cache = arm.cache, .length = length, .depth = depth};
        for (int trial = 0; trial < config.trials; ++trial) {
          // The same prompts under every cache.
          const uint64_t stream =
              StableHash(fmt::format("needle/{}/{}/{}/{}", config.seed, length, depth, trial));
          const Result<NeedlePrompt> prompt =
              MakeNeedlePrompt(model->tokenizer(), passage, length, depth, stream);
          if (!prompt.ok()) return prompt.status();
          Result<std::unique_ptr<KvCache>> cache =
              MakeLanguageCache(*model, arm, length + kDigits + 1);
          if (!cache.ok()) return cache.status();
          const Result<bool> found = Finds(*model, **cache, *prompt);
          if (!found.ok()) return found.status().In(arm.name);
          cell.found += *found ? 1 : 0;
          ++cell.trials;
          cell.kv_bytes += (*cache)->stats().cost.kv_live_bytes / config.trials;
          if (!on_trial(++done, arm.name)) return Status{StatusCode::kCancelled, "stopped"};
        }
        cells.push_back(std::move(cell));
      }
    }
  }
  return cells;
}

std::string FormatNeedle(const NeedleConfig& config, std::span<const NeedleCell> cells) {
  std::vector<std::string> header = {"cache", "storage", "KV KiB"};
  for (const double depth : config.depths) header.push_back(fmt::format("{:g}", depth));
  header.emplace_back("all");
  TextTable table("Facts found again (%), by depth", header);
  for (size_t i = 0; i < cells.size(); i += config.depths.size()) {
    const auto row = cells.subspan(i, config.depths.size());
    std::vector<std::string> line = {row[0].arm, row[0].cache.storage,
                                     KiB(static_cast<double>(row[0].kv_bytes))};
    int found = 0, trials = 0;
    for (const NeedleCell& cell : row) {
      line.push_back(Fixed(100.0 * cell.found / cell.trials, 0));
      found += cell.found;
      trials += cell.trials;
    }
    line.push_back(Percent(WilsonInterval(found, trials)));
    table.Add(fmt::format("{} tokens", row[0].length), std::move(line));
  }
  return table.Format();
}

nlohmann::json NeedleJson(const NeedleConfig& config, std::span<const NeedleCell> cells) {
  nlohmann::json rows = nlohmann::json::array();
  for (const NeedleCell& cell : cells) {
    rows.push_back({{"cache", cell.arm},
                    {"method", cell.cache.policy},
                    {"budget", BudgetText(cell.cache)},
                    {"storage", cell.cache.storage},
                    {"length", cell.length},
                    {"depth", cell.depth},
                    {"found", cell.found},
                    {"trials", cell.trials},
                    {"kv_bytes", cell.kv_bytes}});
  }
  return {{"name", config.name},
          {"model", config.model},
          {"text", config.text},
          {"seed", config.seed},
          {"rows", std::move(rows)}};
}

}  // namespace kvla

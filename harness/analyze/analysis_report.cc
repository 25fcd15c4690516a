// SPDX-License-Identifier: Apache-2.0
#include "harness/analyze/analysis_report.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <span>
#include <utility>
#include <vector>

#include "base/config_io.h"
#include "results/report/json_values.h"
#include "results/report/text_table.h"

namespace kvla {
namespace {

using nlohmann::json;

std::string Error(double error) {
  return error == 0 || (error >= 0.001 && error < 1000) ? Fixed(error, 4)
                                                        : fmt::format("{:.1e}", error);
}

double Share(int64_t bytes, int64_t of) {
  return static_cast<double>(bytes) / static_cast<double>(of);
}

std::string CacheTable(const Analysis& a) {
  TextTable table(
      "At the end: KiB of live keys and values, their share of each full cache, KiB of pages and of "
      "the method's own; MFLOP a block of attention and of the method; error of attention's output "
      "against full f32, relative L2, over blocks and layers",
      {"cache", "live", "of f32", "of bf16", "of int8", "pages", "method", "MFLOP", "method",
       "error", "largest"});
  const auto add = [&](const AnalyzedCache& cache) {
    const ErrorSummary error = SummarizeErrors(a, cache);
    const int64_t live = cache.live_bytes.back();
    std::vector<std::string> cells = {cache.name, KiB(static_cast<double>(live))};
    for (const AnalyzedCache& full : a.full) {
      cells.push_back(Fixed(Share(live, full.live_bytes.back()), 3));
    }
    const double mflop = 1e-6 / a.blocks();
    for (std::string cell :
         {KiB(static_cast<double>(cache.committed_bytes)),
          KiB(static_cast<double>(cache.method_bytes)), Short(cache.attention_flops * mflop),
          Short(cache.method_flops * mflop), Error(error.mean), Error(error.max)}) {
      cells.push_back(std::move(cell));
    }
    table.Add("", std::move(cells));
  };
  add(a.method);
  for (const AnalyzedCache& full : a.full) add(full);
  return table.Format();
}

std::string LayerTable(const Analysis& a) {
  TextTable table(fmt::format("Error of {} by layer, over {} blocks", a.method.name, a.blocks()),
                  {"layer", "error", "largest", "at block"});
  for (int layer = 0; layer < a.geometry.layers; ++layer) {
    const ErrorSummary error = SummarizeErrors(a, a.method, layer);
    table.Add("", {std::to_string(layer), Error(error.mean), Error(error.max),
                   error.max > 0 ? std::to_string(error.max_block) : "-"});
  }
  return table.Format();
}

std::string ChunkTable(const Analysis& a) {
  TextTable table("Chunks, each with its last decision (tokens: that a layer's head still holds)",
                  {"chunk", "blocks", "decision", "after block", "score", "tokens", "least", "most",
                   "of", "reason"});
  for (const AnalyzedChunk& chunk : a.chunks) {
    const ChunkDecision& d = chunk.record.decision;
    const bool near = d.action == ChunkAction::kWindow;
    table.Add(
        "",
        {std::to_string(d.chunk),
         fmt::format("{}-{}", chunk.first_block, chunk.first_block + chunk.blocks - 1),
         std::string(ActionName(d.action)), near ? "-" : std::to_string(chunk.record.decided_block),
         near || !a.traits.scores ? "-" : fmt::format("{:.4g}", d.score), Fixed(chunk.held, 1),
         std::to_string(chunk.least_held), std::to_string(chunk.most_held),
         std::to_string(chunk.tokens), std::string(ReasonText(d.reason))});
  }
  return table.Format();
}

std::string NothingLeft(const Analysis& a) {
  return fmt::format(
      "nothing has left the window: the dump has {} blocks, window_blocks {} and chunk_blocks {} "
      "let the first chunk go after {}",
      a.blocks(), a.config.window_blocks, a.config.chunk_blocks,
      a.config.window_blocks + a.config.chunk_blocks);
}

json ErrorJson(const Analysis& a, const AnalyzedCache& cache, int layer) {
  const ErrorSummary error = SummarizeErrors(a, cache, layer);
  return {{"mean", JsonNumber(error.mean)},
          {"max", JsonNumber(error.max)},
          {"max_block", error.max_block}};
}

json CacheJson(const Analysis& a, const AnalyzedCache& cache) {
  json layers = json::array();
  for (int layer = 0; layer < a.geometry.layers; ++layer) {
    json row = ErrorJson(a, cache, layer);
    row["by_block"] = json::array();
    const auto errors =
        std::span(cache.errors)
            .subspan(static_cast<size_t>(layer) * a.blocks(), static_cast<size_t>(a.blocks()));
    for (const double error : errors) row["by_block"].push_back(JsonNumber(error));
    layers.push_back(std::move(row));
  }
  return {{"name", cache.name},
          {"live_bytes", cache.live_bytes.back()},
          {"live_bytes_by_block", cache.live_bytes},
          {"committed_bytes", cache.committed_bytes},
          {"transient_bytes", cache.transient_bytes},
          {"method_bytes", cache.method_bytes},
          {"attention_flops", cache.attention_flops},
          {"method_flops", cache.method_flops},
          {"error", ErrorJson(a, cache, -1)},
          {"error_by_layer", std::move(layers)}};
}

json DecisionJson(const Analysis& a, const ChunkDecision& d, int block) {
  json out = {{"chunk", d.chunk},
              {"action", std::string(ActionName(d.action))},
              {"after_block", nullptr},
              {"score", nullptr},
              {"reason", std::string(ReasonText(d.reason))}};
  if (d.action == ChunkAction::kWindow) return out;
  out["after_block"] = block;
  if (a.traits.scores) out["score"] = JsonNumber(d.score);
  return out;
}

}  // namespace

std::string FormatAnalysis(const Analysis& a) {
  const CacheGeometry& g = a.geometry;
  std::string out = fmt::format(
      "{}: {} layers, {} heads on {} of keys and values, {} wide; {} blocks of {} tokens after {} "
      "of the instruction; window {}, chunks of {} blocks, storage {}",
      a.method.name, g.layers, g.heads, g.kv_heads, g.head_dim, g.max_blocks, g.tokens_per_block,
      g.instruction_tokens, a.config.window_blocks, a.config.chunk_blocks, a.config.storage);
  out = Wrap(out, "  ") + "\n";
  if (!a.anything_left()) out += Wrap(NothingLeft(a), "  ") + "\n";
  return out + "\n" + CacheTable(a) + "\n" + LayerTable(a) + "\n" + ChunkTable(a);
}

json AnalysisJson(const Analysis& a) {
  const CacheGeometry& g = a.geometry;
  json chunks = json::array(), decisions = json::array(), full = json::array(),
       notes = json::array();
  for (const AnalyzedChunk& chunk : a.chunks) {
    json row = DecisionJson(a, chunk.record.decision, chunk.record.decided_block);
    row["first_block"] = chunk.first_block;
    row["blocks"] = chunk.blocks;
    row["tokens"] = chunk.tokens;
    row["held"] = {{"mean", chunk.held}, {"least", chunk.least_held}, {"most", chunk.most_held}};
    chunks.push_back(std::move(row));
  }
  for (const DecisionEvent& event : a.decisions) {
    decisions.push_back(DecisionJson(a, event.decision, event.block));
  }
  for (const AnalyzedCache& cache : a.full) full.push_back(CacheJson(a, cache));
  if (!a.anything_left()) notes.push_back(NothingLeft(a));
  return {{"geometry",
           {{"layers", g.layers},
            {"heads", g.heads},
            {"kv_heads", g.kv_heads},
            {"head_dim", g.head_dim},
            {"tokens_per_block", g.tokens_per_block},
            {"blocks", g.max_blocks},
            {"instruction_tokens", g.instruction_tokens},
            {"rope_theta", g.rope_theta},
            {"age_clamp_blocks", g.age_clamp_blocks}}},
          {"config", PrintConfig(a.config)},
          {"notes", std::move(notes)},
          {"method", CacheJson(a, a.method)},
          {"full", std::move(full)},
          {"chunks", std::move(chunks)},
          {"decisions", std::move(decisions)}};
}

}  // namespace kvla

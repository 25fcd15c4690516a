// SPDX-License-Identifier: Apache-2.0
// The backbones' costs as text.
#include <fmt/format.h>

#include "harness/bench/backbone_report.h"

namespace kvla {
namespace {

double Number(const nlohmann::json& object, const char* key) {
  return object.at(key).get<double>();
}

std::string Text(const nlohmann::json& object, const char* key) {
  return object.at(key).get<std::string>();
}

// "37", or that it does not come within the histories.
std::string From(const nlohmann::json& inference) {
  return inference.is_null() ? "not here" : fmt::format("{}", inference.get<int>());
}

std::string PartsText(const nlohmann::json& backbone) {
  std::string text = fmt::format("  {:<16}{:>6}{:>8}{:>10}{:>10}{:>10}{:>7}{:>11}\n", "once",
                                 "rows", "times", "ms", "(mean)", "model", "ratio", "GFLOP");
  for (const nlohmann::json& part : backbone.at("parts")) {
    const double ms = Number(part, "ms_median"), predicted = Number(part, "predicted_ms");
    text += fmt::format("  {:<16}{:>6}{:>8}{:>10.3f}{:>10.3f}{:>10.3f}{:>7.2f}{:>11.4f}\n",
                        Text(part, "part"), Number(part, "rows"), Number(part, "times"), ms,
                        Number(part, "ms_mean"), predicted, predicted / ms, Number(part, "gflop"));
  }
  return text;
}

std::string RowsText(const nlohmann::json& backbone) {
  std::string text =
      fmt::format("  {:>5} {:<12}{:>9}{:>11}{:>11}{:>7}{:>11}{:>11}{:>6}{:>9}\n", "inf.", "cache",
                  "attends", "seconds", "(mean)", "model", "GFLOP", "KV MB", "attn", "upkeep");
  for (const nlohmann::json& row : backbone.at("rows")) {
    text += fmt::format(
        "  {:>5} {:<12}{:>9}{:>10.3f}{}{:>11.3f}{:>7.2f}{:>11.1f}{:>11.2f}{:>5.0f}%{:>8.2f}%\n",
        row.at("inference").get<int>(), Text(row, "arm"), Number(row, "attended"),
        Number(row, "inference_ms_median") / 1e3, row.at("measured").get<bool>() ? ' ' : '*',
        Number(row, "inference_ms_mean") / 1e3, Number(row, "predicted_ratio"),
        Number(row, "gflop"), Number(row, "kv_bytes") / 1e6,
        100 * Number(row, "attention_ms") / Number(row, "inference_ms_median"),
        100 * Number(row, "upkeep_share"));
  }
  return text;
}

std::string FindingsText(const nlohmann::json& backbone) {
  const nlohmann::json& overtakes = backbone.at("attention_overtakes");
  std::string text = fmt::format(
      "  Attention takes longer than the rest under 'full' from inference: {}{} (model: {}).\n",
      From(overtakes.at("inference")),
      overtakes.at("tokens").is_null()
          ? ""
          : fmt::format(", {} tokens", overtakes.at("tokens").get<int64_t>()),
      From(overtakes.at("predicted_inference")));
  text += fmt::format(
      "  The paper's {:g}x time, {:g}% FLOPs, {:g}x memory against 'full' are passed from "
      "inference:\n",
      kPaperTimeRatio, 100 * kPaperFlopsSaved, kPaperMemoryRatio);
  for (const nlohmann::json& row : backbone.at("paper")) {
    text += fmt::format("    {:<12} time {:<10} FLOPs {:<10} memory {}\n", Text(row, "arm"),
                        From(row.at("time_from")), From(row.at("flops_from")),
                        From(row.at("memory_from")));
  }
  return text;
}

}  // namespace

std::string BackboneTable(const nlohmann::json& report) {
  const nlohmann::json& machine = report.at("machine");
  std::string text = fmt::format(
      "One core of {}: {:.1f} GFLOP/s in a product of matrices (f32), {:.1f} GB/s read.\n"
      "Measured by the layer with random weights in f32 and multiplied; milliseconds of the\n"
      "thread, medians and (means). model: predicted / measured; attn: attention's share; upkeep:\n"
      "that of appending, gate and compaction; *: extrapolated from the two longest measured.\n"
      "'no history' is the published model's own way.\n",
      Text(machine, "cpu"), Number(machine, "product_gflop_per_s_median"),
      Number(machine, "read_gbyte_per_s_median"));
  for (const nlohmann::json& backbone : report.at("backbones")) {
    text += fmt::format(
        "\n{}: {:.3f} billion parameters, {} layers, {} tokens an inference, {:g} KiB of keys and\n"
        "values a token in f32\n",
        Text(backbone, "name"), Number(backbone, "parameters") / 1e9,
        backbone.at("layers").get<int>(), backbone.at("block_tokens").get<int>(),
        Number(backbone, "kv_bytes_per_token") / 1024);
    text += PartsText(backbone) + RowsText(backbone) + FindingsText(backbone);
  }
  return text;
}

}  // namespace kvla

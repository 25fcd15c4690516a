// SPDX-License-Identifier: Apache-2.0
#include "apps/bench_table.h"

#include <fmt/format.h>

#include "base/json_text.h"

namespace kvla {
namespace {

std::string Cell(const nlohmann::json& row, const BenchColumn& column) {
  const auto value = row.find(column.key);
  if (value == row.end()) return "-";
  if (value->is_string()) return value->get<std::string>();
  return fmt::format("{:.{}f}", value->get<double>() * column.scale, column.decimals);
}

}  // namespace

std::string BenchTable(const BenchReport& report, const std::vector<BenchColumn>& columns,
                       const std::string& legend) {
  const nlohmann::json& m = report.machine;
  const auto number = [&m](const char* key) { return m.at(key).get<double>(); };
  std::string text = fmt::format(
      "One core of {}.\n"
      "Vectors: {} here, {} in LibTorch.\n"
      "Plain GEMM ({}): {:.1f} GFLOP/s, on average {:.1f}.\n"
      "Plain copy, bytes read and written: {:.1f} GB/s through {} MiB, {:.1f} within {} KiB.\n"
      "{}\n",
      m.at("cpu").get<std::string>(), m.at("vectors").get<std::string>(),
      m.at("libtorch_vectors").get<std::string>(), m.at("gemm").get<std::string>(),
      number("gemm_gflop_per_s_median"), number("gemm_gflop_per_s_mean"),
      number("copy_gbyte_per_s_median"), m.at("copy_touched_mib").get<int>(),
      number("l2_copy_gbyte_per_s_median"), m.at("l2_copy_touched_kib").get<int>(), legend);
  const auto line = [&](const auto& cell) {
    std::string out;
    for (const BenchColumn& column : columns) {
      out += fmt::format("{:>{}}", cell(column), column.width);
    }
    text += out + "\n";
  };
  line([](const BenchColumn& column) { return std::string(column.head); });
  for (const nlohmann::json& row : report.rows) {
    line([&row](const BenchColumn& column) { return Cell(row, column); });
  }
  return text;
}

std::string BenchJson(const BenchReport& report) {
  return JsonText(nlohmann::json{{"machine", report.machine}, {"rows", report.rows}}, 2) + "\n";
}

}  // namespace kvla

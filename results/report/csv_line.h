// SPDX-License-Identifier: Apache-2.0
// A line of comma-separated values (RFC 4180); what there is no data for is empty.
#ifndef KVLA_RESULTS_REPORT_CSV_LINE_H_
#define KVLA_RESULTS_REPORT_CSV_LINE_H_

#include <fmt/format.h>

#include <cmath>
#include <string>
#include <type_traits>

#include "results/statistics/statistics.h"

namespace kvla {

class CsvLine {
 public:
  template <class T>
  CsvLine& Add(const T& value) {
    const std::string field = Field(value);
    text_ += begun_ ? "," + field : field;
    begun_ = true;
    return *this;
  }
  CsvLine& Add(const Interval& i) { return Add(i.value).Add(i.low).Add(i.high); }
  std::string End() const { return text_ + "\r\n"; }

 private:
  static std::string Field(const std::string& text) {
    if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
    std::string out = "\"";
    for (const char c : text) out += c == '"' ? std::string("\"\"") : std::string(1, c);
    return out + "\"";
  }
  static std::string Field(double value) {
    return std::isfinite(value) ? fmt::format("{}", value) : "";
  }
  template <class T>
  requires std::is_integral_v<T>
  static std::string Field(T value) { return std::to_string(value); }

  std::string text_;
  bool begun_ = false;
};

}  // namespace kvla

#endif  // KVLA_RESULTS_REPORT_CSV_LINE_H_

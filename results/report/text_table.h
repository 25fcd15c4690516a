// SPDX-License-Identifier: Apache-2.0
// Aligned plain text, and numbers in it; NaN is "-".
#ifndef KVLA_RESULTS_REPORT_TEXT_TABLE_H_
#define KVLA_RESULTS_REPORT_TEXT_TABLE_H_

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/text.h"
#include "results/statistics/statistics.h"

namespace kvla {

inline constexpr size_t kMaxTableWidth = 100;
inline constexpr size_t kMaxName = 20;  // of an arm or cell in a table, characters

// At most `width` bytes, cut between characters.
std::string Shorten(const std::string& text, size_t width);
std::string Fixed(double value, int digits);
std::string Short(double value);  // three significant digits, whatever the size
// With "(no spread)" for bounds that the sample cannot tell.
std::string Percent(const Interval& i);  // "70.0 [48.1, 85.5]"
std::string Signed(const Interval& i);   // "-20.0 [-45.0, +5.0]"
std::string Ratio(const Interval& i);    // "0.238 [0.230, 0.246]"
std::string KiB(double bytes);           // "12.5"
std::string PValue(double p);

// `text` in lines of at most kMaxTableWidth, broken at blanks; later lines begin with `indent`.
std::string Wrap(const std::string& text, const std::string& indent = "");

// Rows of cells under a header, in groups with a heading each; the first column is left-aligned.
class TextTable {
 public:
  TextTable(std::string_view title, std::vector<std::string> header)
      : title_(PrintableLine(title)), header_(std::move(header)) {}

  // Texts may come from anywhere: control characters in them are escaped.
  void Add(const std::string& group, std::vector<std::string> cells) {
    for (std::string& cell : cells) cell = PrintableLine(cell);
    rows_.emplace_back(PrintableLine(group), std::move(cells));
  }
  bool empty() const { return rows_.empty(); }
  std::string Format() const;

 private:
  std::string title_;
  std::vector<std::string> header_;
  std::vector<std::pair<std::string, std::vector<std::string>>> rows_;
};

}  // namespace kvla

#endif  // KVLA_RESULTS_REPORT_TEXT_TABLE_H_

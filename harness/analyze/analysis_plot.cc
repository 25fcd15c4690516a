// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <iterator>
#include <string>
#include <vector>

#include "harness/analyze/analysis_report.h"
#include "results/report/svg.h"

namespace kvla {
namespace {

// As the page of `kvla report` (results/report/html/report.js).
constexpr const char* kColours[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                    "#e69f00", "#56b4e9", "#8c6d31", "#7f7f7f"};
constexpr const char* kActionColours[] = {"#56b4e9", "#009e73", "#e69f00", "#b8bec5"};
constexpr double kWidth = 960, kPlotLeft = 70, kPlotRight = 940;
constexpr double kPanel = 250, kPlotHeight = 160, kTitle = 46;
constexpr int kMostPoints = 800;

struct Line {
  std::string name;
  std::vector<double> y;  // at x = 0, 1, ...
};

struct Bar {
  double height = 0;
  ChunkAction action = ChunkAction::kWindow;
};

// One set of axes, the n-th from above.
class Panel {
 public:
  Panel(int n, const std::string& title, const std::string& x, int columns)
      : top_(kTitle + n * kPanel + 34), columns_(columns) {
    out_ = SvgText(kPlotLeft, top_ - 18, title, "font-weight=\"bold\"");
    out_ +=
        SvgText((kPlotLeft + kPlotRight) / 2, top_ + kPlotHeight + 32, x, "text-anchor=\"middle\"");
  }

  void Range(double low, double high) {
    low_ = std::min(low, 0.0);
    high_ = high > low_ ? high : low_ + 1;
    const double step = std::pow(10, std::floor(std::log10((high_ - low_) / 2)));
    const double tick = (high_ - low_) / step > 10 ? 4 * step : 2 * step;
    for (double y = std::ceil(low_ / tick) * tick; y <= high_ + 1e-9 * tick; y += tick) {
      const double at = Y(y);
      out_ += fmt::format(
          "<line x1=\"{}\" x2=\"{}\" y1=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"#d5dae0\"/>\n", kPlotLeft,
          kPlotRight, at, at);
      out_ += SvgText(kPlotLeft - 8, at + 4, fmt::format("{:.4g}", std::fabs(y) < tick / 2 ? 0 : y),
                      "text-anchor=\"end\"");
    }
    const int labels = std::min(columns_, 9);
    for (int i = 0; i < labels; ++i) {
      const int column = labels == 1 ? 0 : i * (columns_ - 1) / (labels - 1);
      out_ += SvgText(X(column), top_ + kPlotHeight + 16, std::to_string(column),
                      "text-anchor=\"middle\"");
    }
  }

  void Add(const Line& line, int number) {
    const char* colour = kColours[static_cast<size_t>(number) % std::size(kColours)];
    std::string points;
    // The highest of each stretch.
    const size_t stretch = line.y.size() / kMostPoints + 1;
    for (size_t i = 0; i < line.y.size(); i += stretch) {
      const auto end = line.y.begin() + static_cast<int64_t>(std::min(i + stretch, line.y.size()));
      const auto highest = std::max_element(line.y.begin() + static_cast<int64_t>(i), end);
      points += fmt::format("{:.1f},{:.1f} ", X(static_cast<double>(highest - line.y.begin())),
                            Y(std::min(*highest, high_)));
    }
    out_ +=
        fmt::format("<polyline fill=\"none\" stroke=\"{}\" stroke-width=\"1.8\" points=\"{}\"/>\n",
                    colour, points);
    Legend(line.name, colour);
  }

  void Add(const std::vector<Bar>& bars) {
    const double width = std::max(0.5, 0.8 * (kPlotRight - kPlotLeft) / columns_);
    for (size_t i = 0; i < bars.size(); ++i) {
      const double a = Y(0), b = Y(bars[i].height);
      out_ += fmt::format(
          "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" fill=\"{}\"/>\n",
          X(static_cast<double>(i)) - width / 2, std::min(a, b), width,
          std::max(1.0, std::fabs(a - b)), kActionColours[static_cast<size_t>(bars[i].action)]);
    }
    for (size_t action = 0; action < std::size(kActionColours); ++action) {
      Legend(std::string(ActionName(static_cast<ChunkAction>(action))), kActionColours[action]);
    }
  }

  const std::string& svg() const { return out_; }

 private:
  double X(double column) const {
    return kPlotLeft + (column + 0.5) * (kPlotRight - kPlotLeft) / columns_;
  }
  double Y(double value) const { return top_ + kPlotHeight * (high_ - value) / (high_ - low_); }
  void Legend(const std::string& name, const char* colour) {
    out_ +=
        fmt::format("<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"10\" height=\"10\" fill=\"{}\"/>\n",
                    legend_x_, top_ + kPlotHeight + 40, colour);
    out_ += SvgText(legend_x_ + 14, top_ + kPlotHeight + 49, name);
    legend_x_ += 34 + 7.0 * static_cast<double>(name.size());
  }

  double top_, low_ = 0, high_ = 1, legend_x_ = kPlotLeft;
  int columns_;
  std::string out_;
};

// One line a layer where they can be told apart, else the mean and the worst of the layers.
std::vector<Line> ErrorLines(const Analysis& a) {
  const int layers = a.geometry.layers, blocks = a.blocks();
  std::vector<Line> lines;
  for (int layer = 0; layer < layers; ++layer) {
    const auto begin = a.method.errors.begin() + int64_t{layer} * blocks;
    lines.push_back({fmt::format("layer {}", layer), {begin, begin + blocks}});
  }
  if (layers <= static_cast<int>(std::size(kColours))) return lines;
  std::vector<Line> two = {{"mean of the layers", std::vector<double>(blocks)},
                           {"worst layer", std::vector<double>(blocks)}};
  for (const Line& line : lines) {
    for (int i = 0; i < blocks; ++i) {
      two[0].y[i] += line.y[i] / layers;
      two[1].y[i] = std::max(two[1].y[i], line.y[i]);
    }
  }
  return two;
}

std::vector<Line> ByteLines(const Analysis& a) {
  std::vector<Line> lines;
  const auto add = [&](const AnalyzedCache& cache) {
    Line line{cache.name, {}};
    for (const int64_t bytes : cache.live_bytes) {
      line.y.push_back(static_cast<double>(bytes) / 1024);
    }
    lines.push_back(std::move(line));
  };
  add(a.method);
  for (const AnalyzedCache& full : a.full) add(full);
  return lines;
}

std::string LinePanel(int n, const std::string& title, const std::vector<Line>& lines) {
  double high = 0;
  for (const Line& line : lines) {
    for (const double y : line.y) high = std::isfinite(y) ? std::max(high, y) : high;
  }
  Panel panel(n, title, "block", static_cast<int>(lines[0].y.size()));
  panel.Range(0, high);
  for (size_t i = 0; i < lines.size(); ++i) panel.Add(lines[i], static_cast<int>(i));
  return panel.svg();
}

std::string ChunkPanel(int n, const std::string& title, const Analysis& a,
                       const std::function<double(const AnalyzedChunk&)>& height) {
  std::vector<Bar> bars;
  double low = 0, high = 0;
  for (const AnalyzedChunk& chunk : a.chunks) {
    bars.push_back({height(chunk), chunk.record.decision.action});
    low = std::min(low, bars.back().height);
    high = std::max(high, bars.back().height);
  }
  Panel panel(n, title, "chunk", static_cast<int>(bars.size()));
  panel.Range(low, high);
  panel.Add(bars);
  return panel.svg();
}

}  // namespace

std::string AnalysisSvg(const Analysis& a, const std::string& title) {
  const int panels = a.traits.scores ? 4 : 3;
  const double height = kTitle + panels * kPanel;
  std::string out = SvgBegin(kWidth, height);
  out += SvgText(kPlotLeft, 28, title, "font-size=\"16\"");
  out += LinePanel(0, "Error of attention's output against full (relative L2)", ErrorLines(a));
  out += LinePanel(1, "Live keys and values (KiB)", ByteLines(a));
  out += ChunkPanel(2, "Tokens of a chunk that are held at the end (mean over layers and heads)", a,
                    [](const AnalyzedChunk& chunk) { return chunk.held; });
  if (a.traits.scores) {
    out += ChunkPanel(3, "Score at a chunk's last decision", a, [](const AnalyzedChunk& chunk) {
      const bool near = chunk.record.decision.action == ChunkAction::kWindow;
      return near ? 0 : static_cast<double>(chunk.record.decision.score);
    });
  }
  return out + "</svg>\n";
}

}  // namespace kvla

// SPDX-License-Identifier: Apache-2.0
// The backbones' times as curves: both axes logarithmic.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <vector>

#include "harness/bench/backbone_report.h"
#include "harness/bench/curve.h"
#include "results/report/svg.h"

namespace kvla {
namespace {

constexpr double kWidth = 380, kHeight = 300;  // of a panel
constexpr double kLeft = 58, kRight = 16, kTop = 34, kBottom = 44;
constexpr double kLegend = 30;
constexpr int kColumns = 3;

struct Style {
  const char *color, *dashes;
};

// Arms in their order; 'no history' is the last one.
Style StyleOf(const std::string& arm, size_t index) {
  constexpr const char* kGated[] = {"#1b9e77", "#66a61e", "#a6761d", "#7570b3"};
  if (arm == "full") return {"#1c2126", ""};
  if (arm == "int8") return {"#d95f02", ""};
  if (arm == "no history") return {"#8a929a", "5 4"};
  return {kGated[index % std::size(kGated)], ""};
}

struct Axis {
  double low = 0, high = 0, from = 0, to = 0;  // values, and pixels
  double At(double value) const {
    return from + (to - from) * std::log(value / low) / std::log(high / low);
  }
  // Powers of ten within.
  std::vector<double> Ticks() const {
    std::vector<double> ticks;
    for (double tick = std::pow(10, std::floor(std::log10(low))); tick <= high * 1.0001;
         tick *= 10) {
      if (tick >= low * 0.9999) ticks.push_back(tick);
    }
    return ticks;
  }
};

struct Point {
  int inference = 0;
  double seconds = 0;
  bool measured = true;
};
struct ArmCurve {
  std::string arm;
  std::vector<Point> points;
  Curve seconds;             // through the points
  nlohmann::json time_from;  // null: never
};

std::vector<ArmCurve> CurvesOf(const nlohmann::json& backbone) {
  std::vector<ArmCurve> curves;
  for (const nlohmann::json& row : backbone.at("rows")) {
    const auto arm = row.at("arm").get<std::string>();
    if (curves.empty() || curves.back().arm != arm) {
      curves.push_back({.arm = arm, .points = {}, .seconds = {}, .time_from = {}});
    }
    const Point point = {row.at("inference").get<int>(),
                         row.at("inference_ms_median").get<double>() / 1e3,
                         row.at("measured").get<bool>()};
    curves.back().points.push_back(point);
    curves.back().seconds.Add(point.inference, point.seconds);
  }
  for (const nlohmann::json& row : backbone.at("paper")) {
    for (ArmCurve& curve : curves) {
      if (curve.arm == row.at("arm").get<std::string>()) curve.time_from = row.at("time_from");
    }
  }
  return curves;
}

std::string Line(double x1, double y1, double x2, double y2, const char* color) {
  return fmt::format(
      "<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"{}\"/>\n", x1, y1, x2,
      y2, color);
}

std::string CurveSvg(const ArmCurve& curve, size_t index, const Axis& x, const Axis& y) {
  const Style style = StyleOf(curve.arm, index);
  std::string path, dots;
  for (const Point& point : curve.points) {
    const double px = x.At(point.inference), py = y.At(point.seconds);
    path += fmt::format("{:.1f},{:.1f} ", px, py);
    if (curve.arm == "no history") continue;
    dots +=
        fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"2.5\" stroke=\"{}\" fill=\"{}\"/>\n",
                    px, py, style.color, point.measured ? style.color : "#ffffff");
  }
  std::string svg = fmt::format(
      "<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"1.6\" "
      "stroke-dasharray=\"{}\"/>\n",
      path, style.color, style.dashes);
  svg += dots;
  if (curve.time_from.is_number() && curve.points.size() > 1) {
    const int from = curve.time_from.get<int>();
    svg += fmt::format(
        "<path d=\"M{:.1f} {:.1f}l5 -9h-10z\" fill=\"{}\"><title>{}: {:g}x from inference {}"
        "</title></path>\n",
        x.At(from), y.At(curve.seconds.At(from)) - 4, style.color, curve.arm, kPaperTimeRatio,
        from);
  }
  return svg;
}

std::string PanelSvg(const nlohmann::json& backbone, double left, double top) {
  const std::vector<ArmCurve> curves = CurvesOf(backbone);
  Axis x{1, 1, left + kLeft, left + kWidth - kRight};
  Axis y{1e30, 0, top + kHeight - kBottom, top + kTop};
  x.low = 1e30;
  for (const ArmCurve& curve : curves) {
    for (const Point& point : curve.points) {
      x.low = std::min<double>(x.low, point.inference);
      x.high = std::max<double>(x.high, point.inference);
      y.low = std::min(y.low, point.seconds);
      y.high = std::max(y.high, point.seconds);
    }
  }
  if (x.high <= x.low) x.high = x.low * 10;
  y.low /= 1.3;
  y.high *= 1.3;
  std::string svg = SvgText(left + kLeft, top + 20, backbone.at("name").get<std::string>(),
                            "font-weight=\"bold\"");
  for (const double tick : x.Ticks()) {
    svg += Line(x.At(tick), y.from, x.At(tick), y.to, "#e3e6e9");
    svg += SvgText(x.At(tick), y.from + 16, fmt::format("{:g}", tick), "text-anchor=\"middle\"");
  }
  std::vector<double> ticks = y.Ticks();
  if (ticks.size() < 2) ticks = {y.low * 1.3, y.high / 1.3};
  for (const double tick : ticks) {
    svg += Line(x.from, y.At(tick), x.to, y.At(tick), "#e3e6e9");
    svg +=
        SvgText(x.from - 6, y.At(tick) + 4, fmt::format("{:.3g} s", tick), "text-anchor=\"end\"");
  }
  svg +=
      Line(x.from, y.from, x.to, y.from, "#1c2126") + Line(x.from, y.from, x.from, y.to, "#1c2126");
  svg += SvgText((x.from + x.to) / 2, y.from + 34, "inferences of the episode",
                 "text-anchor=\"middle\"");
  for (size_t i = 0; i < curves.size(); ++i) svg += CurveSvg(curves[i], i, x, y);
  return svg;
}

std::string LegendSvg(const nlohmann::json& backbone, double top) {
  const std::vector<ArmCurve> curves = CurvesOf(backbone);
  std::string svg;
  double x = kLeft;
  for (size_t i = 0; i < curves.size(); ++i) {
    const Style style = StyleOf(curves[i].arm, i);
    svg += fmt::format(
        "<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"{}\" "
        "stroke-width=\"2\" stroke-dasharray=\"{}\"/>\n",
        x, top - 4, x + 22, top - 4, style.color, style.dashes);
    svg += SvgText(x + 28, top, curves[i].arm);
    x += 46 + 7.2 * static_cast<double>(curves[i].arm.size());
  }
  return svg;
}

}  // namespace

std::string BackboneSvg(const nlohmann::json& report) {
  const nlohmann::json& backbones = report.at("backbones");
  const int panels = static_cast<int>(backbones.size());
  const int columns = std::clamp(panels, 2, kColumns), rows = (panels + columns - 1) / columns;
  const double head = 56;
  std::string svg = SvgBegin(columns * kWidth, head + rows * kHeight + kLegend);
  svg += SvgText(16, 22, "Seconds of an inference by history, one core, f32, measured by the layer",
                 "font-size=\"15\" font-weight=\"bold\"");
  svg += SvgText(16, 42,
                 fmt::format("triangle: {:g} times faster than 'full' from here on, as the paper "
                             "says; hollow: extrapolated",
                             kPaperTimeRatio));
  for (int i = 0; i < panels; ++i) {
    const int column = i % columns, row = i / columns;
    const double left = column * kWidth, top = head + row * kHeight;
    svg += PanelSvg(backbones[i], left, top);
  }
  if (panels > 0) svg += LegendSvg(backbones[0], head + rows * kHeight + 14);
  return svg + "</svg>\n";
}

}  // namespace kvla

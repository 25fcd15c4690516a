// SPDX-License-Identifier: Apache-2.0
#include "harness/workers/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/columns.h"
#include "base/streams.h"

namespace kvla {
namespace {

// Asked each time: a window changes its size.
int TerminalColumns() {
  constexpr int kUsual = 80;
  winsize size{};
  const bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return known ? size.ws_col : kUsual;
}

}  // namespace

std::string DurationText(double seconds) {
  const int64_t s = std::llround(std::max(seconds, 0.0));
  if (s >= 3600) return fmt::format("{} h {:02} min", s / 3600, s % 3600 / 60);
  if (s >= 60) return fmt::format("{} min {:02} s", s / 60, s % 60);
  return fmt::format("{} s", s);
}

std::string BytesText(double bytes) {
  if (bytes >= 1e9) return fmt::format("{:.1f} GB", bytes / 1e9);
  if (bytes >= 1e6) return fmt::format("{:.1f} MB", bytes / 1e6);
  return fmt::format("{:.0f} kB", bytes / 1e3);
}

std::string BarLine(const std::string& label, double share, const std::string& text, int columns) {
  constexpr int kWidest = 24, kNarrowest = 4;
  const int left = columns - DisplayColumns(label) - DisplayColumns(text) - 4;  // " [" and "] "
  if (left < kNarrowest) return CutToColumns(label + " " + text, columns);
  const int width = std::min(left, kWidest);
  const int full = static_cast<int>(width * std::clamp(share, 0.0, 1.0));
  return fmt::format("{} [{}{}] {}", label, std::string(full, '='), std::string(width - full, ' '),
                     text);
}

ProgressBar::ProgressBar(ProgressStyle style, std::string label, double total, double done)
    : style_(style),
      label_(std::move(label)),
      total_(total),
      begin_(done),
      done_(done),
      start_(std::chrono::steady_clock::now()),
      last_(start_ - std::chrono::hours(1)) {}

void ProgressBar::Update(double done, const std::string& note) {
  done_ = done;
  note_ = note;
  const auto now = std::chrono::steady_clock::now();
  const bool bar = style_ == ProgressStyle::kBar;
  if (now - last_ < (bar ? std::chrono::milliseconds(100) : std::chrono::seconds(10))) return;
  last_ = now;
  Draw();
}

void ProgressBar::LeaveOut(double seconds) {
  start_ += std::chrono::duration_cast<std::chrono::steady_clock::duration>(
      std::chrono::duration<double>(seconds));
}

std::string ProgressBar::Text() const {
  const double elapsed =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  const double rate = elapsed > 0 ? (done_ - begin_) / elapsed : 0;
  std::string text = fmt::format("{:.0f}/{:.0f} {:3.0f}%", done_, total_,
                                 total_ > 0 ? 100 * done_ / total_ : 100.0);
  if (rate > 0) {
    text += rate >= 1 ? fmt::format("  {:.1f}/s", rate) : fmt::format("  {:.1f} s each", 1 / rate);
    if (done_ < total_) text += fmt::format("  {} left", DurationText((total_ - done_) / rate));
  }
  if (!note_.empty()) text += "  " + note_;
  return text;
}

void ProgressBar::Draw() {
  if (style_ == ProgressStyle::kLines) Say("{} {}\n", label_, Text());
  if (style_ != ProgressStyle::kBar) return;
  const double share = total_ > 0 ? done_ / total_ : 1.0;
  // A line that fills the last column is wrapped by some terminals.
  Say("\r\033[K{}", BarLine(label_, share, Text(), TerminalColumns() - 1));
  drawn_ = true;
}

void ProgressBar::Clear() {
  if (!drawn_) return;
  Say("\r\033[K");
  drawn_ = false;
}

void ProgressBar::Finish() {
  Draw();
  if (drawn_) Say("\n");
  drawn_ = false;
}

}  // namespace kvla

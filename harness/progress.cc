#include "harness/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace kvla {

std::string DurationText(double seconds) {
  const auto s = static_cast<long>(std::lround(std::max(seconds, 0.0)));
  if (s >= 3600) return fmt::format("{} h {:02} min", s / 3600, s % 3600 / 60);
  if (s >= 60) return fmt::format("{} min {:02} s", s / 60, s % 60);
  return fmt::format("{} s", s);
}

std::string BytesText(double bytes) {
  if (bytes >= 1e9) return fmt::format("{:.1f} GB", bytes / 1e9);
  if (bytes >= 1e6) return fmt::format("{:.1f} MB", bytes / 1e6);
  return fmt::format("{:.0f} kB", bytes / 1e3);
}

ProgressBar::ProgressBar(std::string label, double total, double done, std::FILE* stream)
    : label_(std::move(label)),
      total_(total),
      begin_(done),
      done_(done),
      stream_(stream),
      terminal_(isatty(fileno(stream)) != 0),
      start_(std::chrono::steady_clock::now()),
      last_(start_ - std::chrono::hours(1)) {}

void ProgressBar::Update(double done, const std::string& note) {
  done_ = done;
  note_ = note;
  const auto now = std::chrono::steady_clock::now();
  if (now - last_ < (terminal_ ? std::chrono::milliseconds(100) : std::chrono::seconds(10))) return;
  last_ = now;
  Draw();
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
  if (!terminal_) {
    fmt::print(stream_, "{} {}\n", label_, Text());
  } else {
    constexpr int kWidth = 24;
    const int full = total_ > 0 ? static_cast<int>(kWidth * std::min(done_ / total_, 1.0)) : kWidth;
    fmt::print(stream_, "\r\033[K{} [{}{}] {}", label_, std::string(full, '='),
               std::string(kWidth - full, ' '), Text());
    drawn_ = true;
  }
  std::fflush(stream_);
}

void ProgressBar::Clear() {
  if (!drawn_) return;
  fmt::print(stream_, "\r\033[K");
  std::fflush(stream_);
  drawn_ = false;
}

void ProgressBar::Finish() {
  Draw();
  if (terminal_) fmt::print(stream_, "\n");
  drawn_ = false;
}

}  // namespace kvla

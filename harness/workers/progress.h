// SPDX-License-Identifier: Apache-2.0
// A progress bar on a terminal, a line now and then elsewhere. Both go to stderr, see
// base/streams.h.
#ifndef KVLA_HARNESS_WORKERS_PROGRESS_H_
#define KVLA_HARNESS_WORKERS_PROGRESS_H_

#include <chrono>
#include <string>

namespace kvla {

// "1 h 02 min", "3 min 20 s", "12 s".
std::string DurationText(double seconds);
// "1.2 GB", "340 kB".
std::string BytesText(double bytes);

enum class ProgressStyle {
  kNone,
  kLines,  // a line every 10 s
  kBar,    // one line of a terminal, drawn over and over
};

// "label [====    ] text" in at most `columns` columns: first the bar gets shorter and goes, then
// the text is cut.
std::string BarLine(const std::string& label, double share, const std::string& text, int columns);

class ProgressBar {
 public:
  // `total` units of work, of which `done` are done already (a resumed run); the estimate counts
  // only what this process did.
  ProgressBar(ProgressStyle style, std::string label, double total, double done = 0);

  // Draws at most ten times a second as a bar, every 10 s as lines.
  void Update(double done, const std::string& note = "");
  // Draws again with what is known, so that the clock runs on.
  void Tick() { Update(done_, note_); }
  // This process was stopped for so long: the estimate does not count it.
  void LeaveOut(double seconds);
  // Takes the bar away, so that other text can be written.
  void Clear();
  // The last state, and a line break.
  void Finish();

  // "61/240  25%  2.0/s  1 min 30 s left": what is drawn behind the bar.
  std::string Text() const;

 private:
  void Draw();

  ProgressStyle style_;
  std::string label_, note_;
  double total_, begin_, done_;
  bool drawn_ = false;
  std::chrono::steady_clock::time_point start_, last_;
};

}  // namespace kvla

#endif  // KVLA_HARNESS_WORKERS_PROGRESS_H_

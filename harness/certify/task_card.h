// SPDX-License-Identifier: Apache-2.0
// `kvla card`: one page and one picture strip a task, made from the task itself.
#ifndef KVLA_HARNESS_CERTIFY_TASK_CARD_H_
#define KVLA_HARNESS_CERTIFY_TASK_CARD_H_

#include <filesystem>
#include <string>
#include <vector>

#include "base/status.h"
#include "sim/specs.h"
#include "tasks/task.h"

namespace kvla {

// A picture of the strip: the front camera at a moment of one demonstration.
struct CardFrame {
  std::string caption;  // "start", "cue", "delay", "decision", "end"
  double time_s = 0;
  Image image;
};

// The expert's first episode of the validation split at the task's first delay that it solves,
// drawn at those moments that the task has. InternalError when it solves none of the first few.
Result<std::vector<CardFrame>> DrawCardFrames(const Task& task, int image_size);

// The frames side by side, written as PNG.
Status WriteStrip(const std::vector<CardFrame>& frames, const std::filesystem::path& path);

// The page, in Markdown. `certificates`: what `kvla certify --json` printed; empty: none, and the
// page says so. BadInput when that text is something else.
Result<std::string> CardText(const Task& task, const std::vector<CardFrame>& frames,
                             const std::string& certificates);

// Writes `out`/<task>.md and `out`/<task>.png.
Status WriteTaskCard(const Task& task, const std::string& certificates,
                     const std::filesystem::path& out);

}  // namespace kvla

#endif  // KVLA_HARNESS_CERTIFY_TASK_CARD_H_

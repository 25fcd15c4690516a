// SPDX-License-Identifier: Apache-2.0
// An episode on display as an MP4 file, drawn by the scene thread beside the window's own pictures.
#ifndef KVLA_VIEWER_FILM_H_
#define KVLA_VIEWER_FILM_H_

#include <filesystem>
#include <memory>
#include <vector>

#include "base/status.h"
#include "results/video/video_writer.h"
#include "viewer/panel_context.h"

namespace kvla {

// Two sides stand next to each other; one frame a control step.
class Film {
 public:
  // BadInput where the trace holds no states.
  static Result<std::unique_ptr<Film>> Start(const PanelContext& context,
                                             const std::filesystem::path& file);

  // Takes the pictures that are there and asks for the next; to be called once a frame of the
  // window. False once the file is written or cannot be: see status().
  bool Advance(PanelContext& context);
  const Status& status() const { return status_; }
  const std::filesystem::path& file() const { return file_; }
  double share_done() const;

 private:
  Film() = default;
  bool Fail(Status status);
  bool Finish();

  std::filesystem::path file_;
  std::unique_ptr<VideoWriter> writer_;
  Status status_;
  size_t sides_ = 0, frames_ = 0;
  size_t written_ = 0, asked_ = 0;            // frames
  std::vector<std::vector<Image>> pictures_;  // by frame modulo those under way, then by side
  std::vector<std::vector<bool>> there_;
};

}  // namespace kvla

#endif  // KVLA_VIEWER_FILM_H_

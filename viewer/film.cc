// SPDX-License-Identifier: Apache-2.0
#include "viewer/film.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/files.h"

namespace kvla {
namespace {

constexpr int kWidth = 640, kHeight = 480;  // of a side
constexpr size_t kUnderWay = 8;             // frames asked for at a time
constexpr int kFilmSlot = 1000;             // of the scene thread; those before are the panels'

}  // namespace

Result<std::unique_ptr<Film>> Film::Start(const PanelContext& context,
                                          const std::filesystem::path& file) {
  std::unique_ptr<Film> film(new Film);
  film->file_ = file;
  film->sides_ = context.sides.size();
  std::string title;
  for (const Side& side : context.sides) {
    const auto& steps = side.model.steps();
    if (steps.empty() || steps.front().state == nullptr) {
      return BadInput("a film needs the states: evaluate the run with --set trace=full");
    }
    film->frames_ = std::max(film->frames_, steps.size());
    title += (title.empty() ? "" : " | ") + ToString(side.model.begin().id);
  }
  Result<std::unique_ptr<VideoWriter>> writer =
      VideoWriter::Create(kWidth * static_cast<int>(film->sides_), kHeight,
                          context.model().begin().control_rate_hz, title);
  if (!writer.ok()) return writer.status();
  film->writer_ = *std::move(writer);
  film->pictures_.assign(kUnderWay, std::vector<Image>(film->sides_));
  film->there_.assign(kUnderWay, std::vector<bool>(film->sides_, false));
  return film;
}

double Film::share_done() const {
  return frames_ == 0 ? 1 : static_cast<double>(written_) / static_cast<double>(frames_);
}

bool Film::Fail(Status status) {
  status_ = std::move(status);
  return false;
}

bool Film::Advance(PanelContext& context) {
  if (context.sides.size() != sides_) {
    return Fail({StatusCode::kCancelled, "the film was given up: another episode is on display"});
  }
  for (; asked_ < frames_ && asked_ < written_ + kUnderWay; ++asked_) {
    for (size_t i = 0; i < sides_; ++i) {
      const Side& side = context.sides[i];
      const auto& steps = side.model.steps();
      if (steps.empty()) {
        return Fail({StatusCode::kCancelled, "the film was given up: the episode is gone"});
      }
      SceneRequest request;  // an episode that ended first stands still
      request.state = steps[std::min(asked_, steps.size() - 1)].state;
      request.scene = context.hooks.asset_root / side.model.begin().scene;
      request.script = side.script;
      request.free = context.state.free;
      request.width = kWidth;
      request.height = kHeight;
      if (context.state.camera > 0) {
        request.camera = context.hooks.cameras[context.state.camera - 1];
      }
      // Frame numbers make equal states different requests, so that each is drawn.
      request.overlay.pull_at = {static_cast<double>(asked_), 0, 0};
      const size_t slot = (asked_ % kUnderWay) * sides_ + i;
      context.scenes.Request(kFilmSlot + static_cast<int>(slot), request);
      there_[asked_ % kUnderWay][i] = false;
    }
  }
  for (; written_ < asked_; ++written_) {
    const size_t at = written_ % kUnderWay;
    bool whole = true;
    for (size_t i = 0; i < sides_; ++i) {
      const int slot = kFilmSlot + static_cast<int>(at * sides_ + i);
      there_[at][i] = there_[at][i] || context.scenes.Take(slot, &pictures_[at][i]);
      whole = whole && there_[at][i];
    }
    if (!whole) return true;
    std::vector<uint8_t> frame(3 * kWidth * kHeight * sides_);
    for (size_t i = 0; i < sides_; ++i) {
      const Image& image = pictures_[at][i];
      constexpr size_t kRow = 3 * kWidth;
      for (int y = 0; y < kHeight && image.rgb.size() == kRow * kHeight; ++y) {
        std::memcpy(&frame[(y * sides_ + i) * kRow], &image.rgb[y * kRow], kRow);
      }
    }
    if (Status status = writer_->Add(frame); !status.ok()) return Fail(status);
  }
  return written_ < frames_ || Finish();
}

bool Film::Finish() {
  const Result<std::string> bytes = writer_->Finish();
  if (!bytes.ok()) return Fail(bytes.status());
  if (Status status = WriteFileAtomic(file_, *bytes); !status.ok()) return Fail(status);
  return false;
}

}  // namespace kvla

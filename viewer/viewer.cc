// SPDX-License-Identifier: Apache-2.0
#include "viewer/viewer.h"

#include <fmt/format.h>
#include <imgui.h>
#include <imgui_internal.h>

#include <algorithm>
#include <cstring>
#include <thread>
#include <utility>

#include "base/files.h"
#include "viewer/actions.h"

namespace kvla {
namespace {

// The most events taken in one frame, so that a burst cannot freeze the window.
constexpr int kEventsPerFrame = 2048;
constexpr std::chrono::milliseconds kFramePeriod{33};
constexpr std::chrono::milliseconds kNap{5};
// After the last change frames go on for a while: tooltips come late.
constexpr int kAwakeFrames = 45;
constexpr double kStillPeriod = 0.25;  // seconds between frames when nothing happens
// One tab comes forward every other frame: its dock node must have been drawn.
constexpr const char* kFrontTabs[] = {kCacheWindow, kOutcomeWindow, kMemoryWindow};
constexpr int kFrontFrames = 2 * std::size(kFrontTabs) + 2;
constexpr std::chrono::seconds kRefreshPeriod{1};
// What "as fast as it goes" means in a replay.
constexpr double kTopReplaySpeed = 16;

}  // namespace

Result<std::unique_ptr<Viewer>> Viewer::Create(EpisodeFeed* feed, ViewerHooks hooks,
                                               const WindowOptions& options) {
  auto window = Window::Create(options);
  if (!window.ok()) return window.status();
  std::unique_ptr<Viewer> self(new Viewer(feed, std::move(hooks)));
  self->window_ = std::move(*window);
  self->state_.light = self->window_->stored_light().value_or(options.light);
  self->state_.paused = !feed->live();
  self->sides_.resize(1);
  return self;
}

void Viewer::SyncSides() {
  if (synced_ && feed_->pick() == shown_) return;
  synced_ = true;
  shown_ = feed_->pick();
  sides_.clear();
  sides_.resize(std::max<size_t>(1, shown_.arms.size()));
  state_.side = sides_.size() - 1;  // the second arm is the one under question
  state_.follow = true;
  state_.overlay.selected = -1;
}

void Viewer::TakeEvents() {
  SyncSides();
  TraceEvent event;
  taken_ = 0;
  for (size_t i = 0; i < sides_.size(); ++i) {
    Side& side = sides_[i];
    int taken = 0;
    for (; taken < kEventsPerFrame && feed_->source(i)->Poll(&event); ++taken) {
      if (std::holds_alternative<EpisodeBegin>(event)) state_.follow = true;
      side.model.Apply(event);
    }
    taken_ += taken;
    if (side.episode != side.model.episodes()) {
      side.episode = side.model.episodes();
      side.serial = ++serial_;
      side.script = hooks_.script ? hooks_.script(side.model.begin()) : nullptr;
      const EpisodeBegin& begin = side.model.begin();
      side.method = begin.method.has_value() ? *begin.method
                    : hooks_.method          ? hooks_.method(begin)
                                             : MethodTraits();
    }
  }
  const Clock::time_point now = Clock::now();
  if (now - last_refresh_ > kRefreshPeriod) {
    last_refresh_ = now;
    feed_->Refresh();
  }
}

void Viewer::Advance() {
  const Clock::time_point now = Clock::now();
  constexpr double kLongest = 0.25;  // a window that hung does not jump
  const double passed =
      std::min(kLongest, std::chrono::duration<double>(now - last_frame_).count());
  const bool first = last_frame_ == Clock::time_point{};
  last_frame_ = now;
  if (feed_->live()) return;
  double end = 0;
  for (const Side& side : sides_) end = std::max(end, side.model.time_s());
  if (state_.follow) {  // a fresh episode opens at its end: the whole story at a glance
    if (taken_ > 0) return;
    state_.follow = false;
    state_.playhead_s = end;
  }
  if (state_.paused || first) return;
  const double speed = state_.speed > 0 ? state_.speed : kTopReplaySpeed;
  state_.playhead_s += passed * speed;
  if (state_.playhead_s < end) return;
  state_.playhead_s = state_.loop ? 0 : end;
  state_.paused = !state_.loop;
}

// The default layout, where none was kept or the person wants it back.
void Viewer::PlaceWindows() {
  const ImGuiViewport* view = ImGui::GetMainViewport();
  const ImGuiID id = ImGui::GetID("dock");
  const bool kept = ImGui::DockBuilderGetNode(id) != nullptr;
  // The dock space draws no ground either, see BeginPanel().
  ImGui::PushStyleColor(ImGuiCol_WindowBg, ImVec4(0, 0, 0, 0));
  const ImGuiID root = ImGui::DockSpaceOverViewport(id, view);
  ImGui::PopStyleColor();
  if (kept && !state_.reset_layout) return;
  state_.reset_layout = false;
  ImGui::DockBuilderRemoveNode(root);
  ImGui::DockBuilderAddNode(root, ImGuiDockNodeFlags_DockSpace);
  ImGui::DockBuilderSetNodeSize(root, view->WorkSize);
  const ImGuiStyle& style = ImGui::GetStyle();
  const float bar =
      2 * ImGui::GetFrameHeight() + style.ItemSpacing.y + 2 * style.WindowPadding.y + 2;
  ImGuiID rest = root;
  const ImGuiID top =
      ImGui::DockBuilderSplitNode(rest, ImGuiDir_Up, bar / view->WorkSize.y, nullptr, &rest);
  const ImGuiID bottom = ImGui::DockBuilderSplitNode(rest, ImGuiDir_Down, 0.42f, nullptr, &rest);
  const ImGuiID right = ImGui::DockBuilderSplitNode(rest, ImGuiDir_Right, 0.53f, nullptr, &rest);
  const ImGuiID images = ImGui::DockBuilderSplitNode(rest, ImGuiDir_Right, 0.24f, nullptr, &rest);
  ImGuiID costs = 0;
  const ImGuiID info = ImGui::DockBuilderSplitNode(right, ImGuiDir_Left, 0.5f, nullptr, &costs);
  ImGui::DockBuilderDockWindow(kTransportWindow, top);
  ImGui::DockBuilderDockWindow(kSceneWindow, rest);
  ImGui::DockBuilderDockWindow(kImagesWindow, images);
  ImGui::DockBuilderDockWindow(kOutcomeWindow, info);
  for (const char* name : {kLatencyWindow, kMemoryWindow, kFlopsWindow, kStalenessWindow}) {
    ImGui::DockBuilderDockWindow(name, costs);
  }
  ImGui::DockBuilderDockWindow(kActionsWindow, info);
  ImGui::DockBuilderDockWindow(kControlsWindow, info);
  ImGui::DockBuilderDockWindow(kCacheWindow, bottom);
  ImGui::DockBuilderDockWindow(kLayersWindow, bottom);
  if (ImGuiDockNode* node = ImGui::DockBuilderGetNode(top)) {
    node->SetLocalFlags(static_cast<int>(ImGuiDockNodeFlags_NoTabBar) |
                        ImGuiDockNodeFlags_NoResize | ImGuiDockNodeFlags_NoUndocking);
  }
  ImGui::DockBuilderFinish(root);
  front_in_ = kFrontFrames;
}

void Viewer::Frame() {
  TakeEvents();
  Advance();
  window_->SetTheme(state_.light);
  window_->BeginFrame();
  rects_.clear();
  PanelContext context{sides_, state_, *feed_, hooks_, scenes_, rects_};
  DrawMenu(context);
  PlaceWindows();
  HandleShortcuts(context);
  DrawTransport(context);
  scene_.Draw(context);
  images_.Draw(context);
  DrawOutcome(context);
  controls_.Draw(context);
  DrawLatency(context);
  DrawMemory(context);
  DrawFlops(context);
  DrawStaleness(context);
  DrawActions(context);
  cache_.Draw(context);
  DrawLayers(context);
  DrawHelp(context);
  ++frames_;
  if (front_in_ > 0 && --front_in_ % 2 == 0 &&
      front_in_ / 2 < static_cast<int>(std::size(kFrontTabs))) {
    ImGui::SetWindowFocus(kFrontTabs[std::size(kFrontTabs) - 1 - front_in_ / 2]);
  }
  if (front_in_ == 0 && !forward_.empty()) {
    ImGui::SetWindowFocus(std::exchange(forward_, "").c_str());
  }
  const bool exporting = !state_.export_window.empty();
  if (exporting) window_->Capture();
  window_->EndFrame();
  if (exporting) Export();
  if (film_ != nullptr || state_.film_wanted) GoOnFilming();
}

void Viewer::GoOnFilming() {
  PanelContext context{sides_, state_, *feed_, hooks_, scenes_, rects_};
  if (std::exchange(state_.film_wanted, false) && film_ == nullptr) {
    Result<std::unique_ptr<Film>> film =
        Film::Start(context, hooks_.export_folder / (FileStem(sides_) + ".mp4"));
    if (!film.ok()) return context.Say(film.status().message());
    film_ = *std::move(film);
  }
  if (film_ == nullptr) return;
  const bool more = film_->Advance(context);
  context.Say(more                   ? fmt::format("filming, {:.0f}%", 100 * film_->share_done())
              : film_->status().ok() ? "Wrote " + film_->file().string()
                                     : film_->status().message());
  if (!more) film_.reset();
}

void Viewer::Export() {
  const std::string name = std::exchange(state_.export_window, "");
  Pixels pixels = window_->TakeCapture();
  PanelContext context{sides_, state_, *feed_, hooks_, scenes_, rects_};
  if (name != "all") {
    const auto rect = rects_.find("window " + name);
    if (rect == rects_.end()) return context.Say(name + " is behind another tab: bring it forward");
    pixels = Crop(pixels, rect->second);
  }
  std::string stem = name == "all" ? "window" : name;
  for (char& c : stem) c = std::isalnum(static_cast<unsigned char>(c)) ? std::tolower(c) : '_';
  const EpisodeId& id = context.model().begin().id;
  std::filesystem::path file;
  for (int i = 1; file.empty() || Exists(file); ++i) {
    file = hooks_.export_folder / fmt::format("kvla_{}_{}_seed{}_{}.png", stem, id.arm, id.seed, i);
  }
  const Status status = WritePng(file, pixels);
  context.Say(status.ok() ? "Wrote " + file.string() : status.message());
}

void Viewer::Run(const std::function<bool()>& keep_going) {
  int awake = kAwakeFrames;
  while (!done() && keep_going()) {
    const auto start = Clock::now();
    Frame();
    awake = Still() ? awake - 1 : kAwakeFrames;
    if (awake > 0) {
      // A software renderer knows no vertical sync, and the policy needs the cores more.
      std::this_thread::sleep_until(start + kFramePeriod);
    } else if (window_->WaitForEvent(kStillPeriod)) {
      awake = kAwakeFrames;
    }
  }
}

bool Viewer::Still() const {
  const bool plays = !feed_->live() && !state_.paused;
  const bool says = ImGui::GetTime() < state_.message_until_s;
  return taken_ == 0 && !plays && !says && film_ == nullptr && settled();
}

Pixels Viewer::Grab() {
  window_->Capture();
  Frame();
  return window_->TakeCapture();
}

Status Viewer::Screenshot(const ScreenshotPlan& plan, const std::function<bool()>& alive) {
  int frames = 0;
  bool due = false;
  while (!due && !done()) {
    const bool more = alive();  // asked first: what came before is then in the source
    const auto every = [&](auto what) { return std::all_of(sides_.begin(), sides_.end(), what); };
    if (plan.frames.has_value()) {
      Frame();
      due = ++frames >= *plan.frames;
    } else {
      // Nothing is drawn before its time, so that drawing costs the policy nothing.
      TakeEvents();
      due = every([&](const Side& side) {
        const bool reached = plan.after_s.has_value() && side.model.time_s() >= *plan.after_s;
        return reached || side.model.end().has_value();
      });
      if (!due && taken_ == 0) std::this_thread::sleep_for(kNap);
    }
    if (!due && !more && taken_ == 0) {
      return {StatusCode::kTimeout, "the episode ended before the moment of the screenshot"};
    }
  }
  Frame();  // lets a replay come to its end first
  if (plan.after_s.has_value()) {
    const double newest = PanelContext{sides_, state_, *feed_, hooks_, scenes_, rects_}.newest_s();
    state_.follow = feed_->live() && newest < *plan.after_s;
    state_.playhead_s = *plan.after_s;
  }
  state_.paused = true;
  forward_ = plan.panel.empty() ? plan.front : plan.panel;
  ImGui::GetIO().ConfigFlags |= ImGuiConfigFlags_NoMouse;  // wherever it happens to be
  for (size_t i = 0; i < sides_.size(); ++i) {
    if (!sides_[i].model.end().has_value()) feed_->Send(i, {ViewerCommandKind::kPause});
  }
  // A few frames more let the layout and the newest scene come onto the screen.
  for (int quiet = 0; quiet < 4 && !done();) {
    Frame();
    quiet = settled() ? quiet + 1 : 0;
  }
  if (done()) return {StatusCode::kCancelled, "the window was closed before the screenshot"};
  const Pixels pixels = Grab();
  if (plan.panel.empty()) return WritePng(plan.file, pixels);
  const auto rect = rects_.find("window " + plan.panel);
  if (rect == rects_.end()) {
    return BadInput(fmt::format("no panel '{}' is in sight to take a picture of", plan.panel));
  }
  return WritePng(plan.file, Crop(pixels, rect->second));
}

Pixels Crop(const Pixels& pixels, ImVec4 rect) {
  const int x0 = std::clamp(static_cast<int>(rect.x), 0, pixels.width);
  const int y0 = std::clamp(static_cast<int>(rect.y), 0, pixels.height);
  const int x1 = std::clamp(static_cast<int>(rect.z), x0, pixels.width);
  const int y1 = std::clamp(static_cast<int>(rect.w), y0, pixels.height);
  Pixels part{x1 - x0, y1 - y0, {}};
  part.rgb.reserve(3 * static_cast<size_t>(part.width) * part.height);
  for (int y = y0; y < y1; ++y) {
    const auto row = pixels.rgb.begin() + 3 * (static_cast<std::ptrdiff_t>(y) * pixels.width + x0);
    part.rgb.insert(part.rgb.end(), row, row + 3 * part.width);
  }
  return part;
}

}  // namespace kvla

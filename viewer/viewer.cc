#include "viewer/viewer.h"

#include <fmt/format.h>
#include <imgui.h>
#include <imgui_internal.h>

#include <chrono>
#include <thread>
#include <utility>

#include "viewer/actions.h"

namespace kvla {
namespace {

// The most events taken in one frame, so that a burst cannot freeze the window.
constexpr int kEventsPerFrame = 512;
constexpr std::chrono::milliseconds kFramePeriod{33};
constexpr std::chrono::milliseconds kNap{5};

}  // namespace

Result<std::unique_ptr<Viewer>> Viewer::Create(TraceSource* source, CommandQueue* commands,
                                               ViewerHooks hooks, const WindowOptions& options) {
  auto window = Window::Create(options);
  if (!window.ok()) return window.status();
  std::unique_ptr<Viewer> self(new Viewer(source, commands, std::move(hooks)));
  self->window_ = std::move(*window);
  return self;
}

void Viewer::TakeEvents() {
  TraceEvent event;
  taken_ = 0;
  for (; taken_ < kEventsPerFrame && source_->Poll(&event); ++taken_) {
    if (std::holds_alternative<EpisodeBegin>(event)) state_.follow = true;
    model_.Apply(event);
  }
  if (threshold_episode_ != model_.episodes()) {
    threshold_episode_ = model_.episodes();
    threshold_.reset();
    if (hooks_.threshold) threshold_ = hooks_.threshold(model_.begin());
  }
}

// The default layout, at the first frame and whenever the window changes its size.
void Viewer::PlaceWindows() {
  const ImGuiViewport* view = ImGui::GetMainViewport();
  const ImGuiID root = ImGui::DockSpaceOverViewport(ImGui::GetID("dock"), view);
  if (placed_for_.x == view->WorkSize.x && placed_for_.y == view->WorkSize.y) return;
  const bool first = placed_for_.x == 0;
  placed_for_ = view->WorkSize;
  if (!first) return;  // docking scales the layout, and the person may have changed it
  ImGui::DockBuilderRemoveNode(root);
  ImGui::DockBuilderAddNode(root, ImGuiDockNodeFlags_DockSpace);
  ImGui::DockBuilderSetNodeSize(root, view->WorkSize);
  const float bar = ImGui::GetFrameHeight() + 2 * ImGui::GetStyle().WindowPadding.y;
  ImGuiID rest = root;
  const ImGuiID top =
      ImGui::DockBuilderSplitNode(rest, ImGuiDir_Up, bar / view->WorkSize.y, nullptr, &rest);
  const ImGuiID bottom = ImGui::DockBuilderSplitNode(rest, ImGuiDir_Down, 0.41f, nullptr, &rest);
  const ImGuiID right = ImGui::DockBuilderSplitNode(rest, ImGuiDir_Right, 0.5f, nullptr, &rest);
  const ImGuiID images = ImGui::DockBuilderSplitNode(rest, ImGuiDir_Right, 0.27f, nullptr, &rest);
  ImGuiID costs = 0;
  const ImGuiID info = ImGui::DockBuilderSplitNode(right, ImGuiDir_Left, 0.5f, nullptr, &costs);
  ImGui::DockBuilderDockWindow(kTransportWindow, top);
  ImGui::DockBuilderDockWindow(kSceneWindow, rest);
  ImGui::DockBuilderDockWindow(kImagesWindow, images);
  ImGui::DockBuilderDockWindow(kInfoWindow, info);
  ImGui::DockBuilderDockWindow(kMemoryWindow, costs);
  ImGui::DockBuilderDockWindow(kLatencyWindow, costs);
  ImGui::DockBuilderDockWindow(kCacheWindow, bottom);
  if (ImGuiDockNode* node = ImGui::DockBuilderGetNode(top)) {
    node->SetLocalFlags(static_cast<int>(ImGuiDockNodeFlags_NoTabBar) |
                        ImGuiDockNodeFlags_NoResize | ImGuiDockNodeFlags_NoUndocking);
  }
  ImGui::DockBuilderFinish(root);
}

void Viewer::Frame() {
  TakeEvents();
  window_->BeginFrame();
  rects_.clear();
  PanelContext context{model_, state_, commands_, hooks_, threshold_, rects_};
  PlaceWindows();
  HandleShortcuts(context);
  DrawTransport(context);
  scene_.Draw(context);
  images_.Draw(context);
  DrawInfo(context);
  DrawMemory(context);
  DrawLatency(context);
  cache_.Draw(context);
  DrawHelp(context);
  if (frames_++ == 1) ImGui::SetWindowFocus(kLatencyWindow);  // in front of its neighbour tab
  window_->EndFrame();
}

void Viewer::Run(const std::function<bool()>& keep_going) {
  while (!done() && keep_going()) {
    const auto start = std::chrono::steady_clock::now();
    Frame();
    // A software renderer knows no vertical sync, and the policy needs the cores more.
    std::this_thread::sleep_until(start + kFramePeriod);
  }
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
    if (plan.frames.has_value()) {
      Frame();
      due = ++frames >= *plan.frames;
    } else {
      // Nothing is drawn before its time, so that drawing costs the policy nothing.
      TakeEvents();
      const bool reached = plan.after_s.has_value() && model_.time_s() >= *plan.after_s;
      due = reached || model_.end().has_value();
      if (!due && taken_ == 0) std::this_thread::sleep_for(kNap);
    }
    if (!due && !more && taken_ == 0) {
      return {StatusCode::kTimeout, "the episode ended before the moment of the screenshot"};
    }
  }
  if (plan.after_s.has_value()) {
    state_.follow = model_.time_s() < *plan.after_s;
    state_.playhead_s = *plan.after_s;
  }
  if (commands_ != nullptr && !model_.end().has_value()) {
    state_.paused = true;
    commands_->Push({ViewerCommandKind::kPause});
  }
  // A few frames more let the layout and the newest scene come onto the screen.
  for (int quiet = 0; quiet < 3 && !done();) {
    Frame();
    quiet = settled() ? quiet + 1 : 0;
  }
  if (done()) return {StatusCode::kCancelled, "the window was closed before the screenshot"};
  return WritePng(plan.file, Grab());
}

}  // namespace kvla

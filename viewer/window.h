// SPDX-License-Identifier: Apache-2.0
// One GLFW window with an OpenGL 3 context, Dear ImGui and ImPlot.
#ifndef KVLA_VIEWER_WINDOW_H_
#define KVLA_VIEWER_WINDOW_H_

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"

struct GLFWwindow;

namespace kvla {

struct WindowOptions {
  std::string title = "kvla";
  int width = 1280;  // pixels
  int height = 720;
  bool light = false;  // light theme instead of the dark one
  bool vsync = true;
  float scale = 0;                 // of texts and controls; 0: the monitor's
  std::filesystem::path layout{};  // where the layout is kept; empty: it is not
};

// What a window shows: RGB8, row 0 is the top row.
struct Pixels {
  int width = 0;
  int height = 0;
  std::vector<uint8_t> rgb;
};

// Writes an RGB8 image as PNG, first under a temporary name.
Status WritePng(const std::filesystem::path& file, const Pixels& pixels);

// REQUIRES: one window at a time in a process, created, used and destroyed on one thread (GLFW
// and ImGui keep process-wide state).
class Window {
 public:
  // kIo when there is no display or no OpenGL 3.
  static Result<std::unique_ptr<Window>> Create(const WindowOptions& options);
  ~Window();
  Window(const Window&) = delete;
  Window& operator=(const Window&) = delete;

  void SetTheme(bool light);
  // The theme that the layout file names, if it does.
  std::optional<bool> stored_light() const { return stored_light_; }

  // Waits for an event of the person's, at most so many seconds; true if there was one.
  bool WaitForEvent(double seconds);
  void BeginFrame();  // takes the events and starts an ImGui frame
  void EndFrame();    // draws it; keeps the pixels if `capture` was asked for; swaps

  // The next EndFrame keeps its pixels, for TakeCapture.
  void Capture() { capture_wanted_ = true; }
  Pixels TakeCapture() { return std::move(captured_); }

  bool should_close() const;
  void Close();
  const std::string& gl_renderer() const { return gl_renderer_; }
  float scale() const { return scale_; }  // of the monitor; 1 is 96 dots an inch

 private:
  Window() = default;
  void FollowMonitor();
  void KeepLayout(const std::filesystem::path& file);

  GLFWwindow* window_ = nullptr;
  bool glfw_ready_ = false;
  bool imgui_ready_ = false;
  bool capture_wanted_ = false;
  Pixels captured_;
  std::string gl_renderer_;
  bool light_ = false;
  std::string layout_;  // ImGui keeps a pointer to it
  std::optional<bool> stored_light_;
  float scale_ = 1.0f;
  bool scale_given_ = false;
};

}  // namespace kvla

#endif  // KVLA_VIEWER_WINDOW_H_

// SPDX-License-Identifier: Apache-2.0
#include "viewer/window.h"

#define GLFW_INCLUDE_NONE
#include <GL/gl.h>
#include <GLFW/glfw3.h>
#include <fmt/format.h>
#include <imgui.h>
#include <imgui_impl_glfw.h>
#include <imgui_impl_opengl3.h>
#include <imgui_internal.h>
#include <implot.h>
#define STB_IMAGE_WRITE_STATIC
#define STB_IMAGE_WRITE_IMPLEMENTATION
#include <stb/stb_image_write.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <system_error>

#include "base/files.h"
#include "viewer/theme.h"

namespace kvla {
namespace {

std::string LastGlfwError() {
  const char* text = nullptr;
  glfwGetError(&text);
  return text != nullptr ? text : "no reason given";
}

float MonitorScale(GLFWwindow* window) {
  float x = 1, y = 1;
  glfwGetWindowContentScale(window, &x, &y);
  return std::clamp(std::max(x, y), 1.0f, 4.0f);
}

}  // namespace

Status WritePng(const std::filesystem::path& file, const Pixels& pixels) {
  if (pixels.width <= 0 || pixels.height <= 0) return InternalError("no pixels to write");
  std::string png;
  const auto take = [](void* out, void* bytes, int size) {
    static_cast<std::string*>(out)->append(static_cast<const char*>(bytes),
                                           static_cast<size_t>(size));
  };
  if (stbi_write_png_to_func(take, &png, pixels.width, pixels.height, 3, pixels.rgb.data(),
                             3 * pixels.width) == 0) {
    return IoError(fmt::format("cannot write the picture {}", file.string()));
  }
  return WriteFileAtomic(file, png).In("picture");
}

Result<std::unique_ptr<Window>> Window::Create(const WindowOptions& options) {
  std::unique_ptr<Window> self(new Window);
  if (glfwInit() != GLFW_TRUE) {
    return IoError(
        fmt::format("cannot open a window: {}. Run it on a desktop, or without one as "
                    "`xvfb-run -a kvla view ... --screenshot FILE`",
                    LastGlfwError()));
  }
  self->glfw_ready_ = true;
  glfwWindowHint(GLFW_CONTEXT_VERSION_MAJOR, 3);
  glfwWindowHint(GLFW_CONTEXT_VERSION_MINOR, 3);
  glfwWindowHint(GLFW_OPENGL_PROFILE, GLFW_OPENGL_CORE_PROFILE);
  glfwWindowHint(GLFW_DOUBLEBUFFER, GLFW_TRUE);
  self->window_ =
      glfwCreateWindow(options.width, options.height, options.title.c_str(), nullptr, nullptr);
  if (self->window_ == nullptr) {
    return IoError(fmt::format("cannot open a window with OpenGL 3.3: {}", LastGlfwError()));
  }
  glfwMakeContextCurrent(self->window_);
  glfwSwapInterval(options.vsync ? 1 : 0);
  if (const auto* name = glGetString(GL_RENDERER)) {
    self->gl_renderer_ = reinterpret_cast<const char*>(name);
  }
  self->scale_given_ = options.scale > 0;
  self->scale_ = self->scale_given_ ? options.scale : MonitorScale(self->window_);

  IMGUI_CHECKVERSION();
  ImGui::CreateContext();
  ImPlot::CreateContext();
  self->imgui_ready_ = true;
  ImGuiIO& io = ImGui::GetIO();
  io.ConfigFlags |= ImGuiConfigFlags_DockingEnable;
  io.ConfigWindowsMoveFromTitleBarOnly = true;
  io.IniFilename = nullptr;
  self->light_ = options.light;
  ApplyTheme(options.light, self->scale_);
  io.Fonts->AddFontDefaultVector();
  self->KeepLayout(options.layout);
  if (!ImGui_ImplGlfw_InitForOpenGL(self->window_, true) ||
      !ImGui_ImplOpenGL3_Init("#version 330 core")) {
    return InternalError("cannot start Dear ImGui on this OpenGL: " + self->gl_renderer_);
  }
  return self;
}

// The theme is kept with the layout, as "[kvla][theme]" and a line "light=1".
void Window::KeepLayout(const std::filesystem::path& file) {
  if (file.empty()) return;
  ImGuiSettingsHandler handler;
  handler.TypeName = "kvla";
  handler.TypeHash = ImHashStr("kvla");
  handler.UserData = this;
  handler.ReadOpenFn = [](ImGuiContext*, ImGuiSettingsHandler* h, const char*) {
    return h->UserData;
  };
  handler.ReadLineFn = [](ImGuiContext*, ImGuiSettingsHandler* h, void*, const char* line) {
    int light = 0;
    if (std::sscanf(line, "light=%d", &light) == 1) {
      static_cast<Window*>(h->UserData)->stored_light_ = light != 0;
    }
  };
  handler.WriteAllFn = [](ImGuiContext*, ImGuiSettingsHandler* h, ImGuiTextBuffer* out) {
    out->appendf("[kvla][theme]\nlight=%d\n\n", static_cast<Window*>(h->UserData)->light_ ? 1 : 0);
  };
  ImGui::AddSettingsHandler(&handler);
  std::error_code error;
  std::filesystem::create_directories(file.parent_path(), error);
  layout_ = file.string();
  ImGui::GetIO().IniFilename = layout_.c_str();
  ImGui::LoadIniSettingsFromDisk(layout_.c_str());
}

void Window::SetTheme(bool light) {
  if (light == light_) return;
  light_ = light;
  ApplyTheme(light, scale_);
  if (!layout_.empty()) ImGui::MarkIniSettingsDirty();
}

Window::~Window() {
  if (imgui_ready_) {
    if (ImGui::GetIO().BackendRendererUserData != nullptr) ImGui_ImplOpenGL3_Shutdown();
    if (ImGui::GetIO().BackendPlatformUserData != nullptr) ImGui_ImplGlfw_Shutdown();
    ImPlot::DestroyContext();
    ImGui::DestroyContext();
  }
  if (window_ != nullptr) glfwDestroyWindow(window_);
  if (glfw_ready_) glfwTerminate();
}

// The window may have been moved to a monitor of another scale.
void Window::FollowMonitor() {
  if (scale_given_) return;
  const float scale = MonitorScale(window_);
  if (scale == scale_) return;
  scale_ = scale;
  ApplyTheme(light_, scale_);
}

bool Window::WaitForEvent(double seconds) {
  const double start = glfwGetTime();
  glfwWaitEventsTimeout(seconds);
  return glfwGetTime() - start < 0.9 * seconds;
}

void Window::BeginFrame() {
  glfwPollEvents();
  FollowMonitor();
  ImGui_ImplOpenGL3_NewFrame();
  ImGui_ImplGlfw_NewFrame();
  ImGui::NewFrame();
}

void Window::EndFrame() {
  ImGui::Render();
  int width = 0, height = 0;
  glfwGetFramebufferSize(window_, &width, &height);
  glViewport(0, 0, width, height);
  const ImVec4 back = ImGui::GetStyleColorVec4(ImGuiCol_WindowBg);
  glClearColor(back.x, back.y, back.z, 1.0f);
  glClear(GL_COLOR_BUFFER_BIT);
  ImGui_ImplOpenGL3_RenderDrawData(ImGui::GetDrawData());
  if (capture_wanted_) {
    capture_wanted_ = false;
    const size_t row = static_cast<size_t>(width) * 3;
    std::vector<uint8_t> upside_down(row * height);
    glPixelStorei(GL_PACK_ALIGNMENT, 1);
    glReadPixels(0, 0, width, height, GL_RGB, GL_UNSIGNED_BYTE, upside_down.data());
    captured_ = {width, height, std::vector<uint8_t>(upside_down.size())};
    for (int y = 0; y < height; ++y) {
      std::memcpy(&captured_.rgb[y * row], &upside_down[(height - 1 - y) * row], row);
    }
  }
  glfwSwapBuffers(window_);
}

bool Window::should_close() const { return glfwWindowShouldClose(window_) == GLFW_TRUE; }

void Window::Close() { glfwSetWindowShouldClose(window_, GLFW_TRUE); }

}  // namespace kvla

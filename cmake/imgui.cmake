# SPDX-License-Identifier: Apache-2.0
# Dear ImGui 1.93.0 (docking), from the sources in imgui-bundle==1.93.0.
set(KVLA_IMGUI_DIR "${KVLA_DEPS_DIR}/imgui-bundle-1.93.0/external/imgui/imgui")
kvla_require_unpacked("${KVLA_IMGUI_DIR}/imgui.h")
add_library(kvla_imgui STATIC
  "${KVLA_IMGUI_DIR}/imgui.cpp"
  "${KVLA_IMGUI_DIR}/imgui_draw.cpp"
  "${KVLA_IMGUI_DIR}/imgui_tables.cpp"
  "${KVLA_IMGUI_DIR}/imgui_widgets.cpp"
  "${KVLA_IMGUI_DIR}/imgui_stacklayout.cpp"  # the bundle's own: its imgui.cpp calls into it
  "${KVLA_IMGUI_DIR}/backends/imgui_impl_glfw.cpp"
  "${KVLA_IMGUI_DIR}/backends/imgui_impl_opengl3.cpp")
target_include_directories(kvla_imgui SYSTEM PUBLIC
  "${KVLA_IMGUI_DIR}" "${KVLA_IMGUI_DIR}/backends")
target_compile_options(kvla_imgui PRIVATE -w -O2)
if(KVLA_TESTS)
  # The tests drive the very library that the program links: see cmake/imgui_test_engine.cmake.
  target_compile_definitions(kvla_imgui PRIVATE IMGUI_ENABLE_TEST_ENGINE)
  target_sources(kvla_imgui PRIVATE "${PROJECT_SOURCE_DIR}/cmake/imgui_hooks.cc")
endif()
target_link_libraries(kvla_imgui PUBLIC glfw OpenGL::OpenGL ${CMAKE_DL_LIBS})

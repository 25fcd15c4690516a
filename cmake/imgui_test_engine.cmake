# SPDX-License-Identifier: Apache-2.0
# Dear ImGui Test Engine, from the sources in imgui-bundle==1.93.0: tests only, never in the program.
set(KVLA_TEST_ENGINE_DIR
  "${KVLA_DEPS_DIR}/imgui-bundle-1.93.0/external/imgui_test_engine/imgui_test_engine")
kvla_require_unpacked("${KVLA_TEST_ENGINE_DIR}/imgui_test_engine/imgui_te_engine.h")
file(GLOB sources "${KVLA_TEST_ENGINE_DIR}/imgui_test_engine/*.cpp")
add_library(kvla_imgui_test_engine STATIC ${sources})
target_include_directories(kvla_imgui_test_engine SYSTEM PUBLIC
  "${KVLA_TEST_ENGINE_DIR}" "${KVLA_TEST_ENGINE_DIR}/imgui_test_engine")
target_compile_definitions(kvla_imgui_test_engine PUBLIC
  IMGUI_ENABLE_TEST_ENGINE IMGUI_TEST_ENGINE_ENABLE_COROUTINE_STDTHREAD_IMPL=1
  IMGUI_TEST_ENGINE_ENABLE_STD_FUNCTION=1 IMGUI_TEST_ENGINE_ENABLE_CAPTURE=0)
target_compile_options(kvla_imgui_test_engine PRIVATE -w -O1)
target_link_libraries(kvla_imgui_test_engine PUBLIC kvla_imgui Threads::Threads)

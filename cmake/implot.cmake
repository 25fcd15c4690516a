# SPDX-License-Identifier: Apache-2.0
# ImPlot, from the sources in imgui-bundle==1.93.0.
set(KVLA_IMPLOT_DIR "${KVLA_DEPS_DIR}/imgui-bundle-1.93.0/external/implot/implot")
kvla_require_unpacked("${KVLA_IMPLOT_DIR}/implot.h")
add_library(kvla_implot STATIC
  "${KVLA_IMPLOT_DIR}/implot.cpp" "${KVLA_IMPLOT_DIR}/implot_items.cpp")
target_include_directories(kvla_implot SYSTEM PUBLIC "${KVLA_IMPLOT_DIR}")
# Not ours to check, and the sanitizers make GCC work on its templates for a quarter of an hour.
target_compile_options(kvla_implot PRIVATE -w -O1 -fno-sanitize=all)
target_link_libraries(kvla_implot PUBLIC kvla_imgui)

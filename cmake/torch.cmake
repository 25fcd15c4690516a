# SPDX-License-Identifier: Apache-2.0
# LibTorch 2.11.0 (cu130), from the wheel torch==2.11.0 that scripts/setup.sh unpacks.
# Own imported targets: the wheel's find_package(Torch) turns CUDA on by itself.
#   kvla_torch  headers and libraries; CPU only unless KVLA_CUDA is ON.
set(KVLA_TORCH_DIR "${KVLA_DEPS_DIR}/torch-2.11.0/torch")
kvla_require_unpacked("${KVLA_TORCH_DIR}/lib/libtorch_cpu.so")

foreach(lib c10 torch_cpu)
  add_library(kvla_${lib} SHARED IMPORTED GLOBAL)
  set_target_properties(kvla_${lib} PROPERTIES
    IMPORTED_LOCATION "${KVLA_TORCH_DIR}/lib/lib${lib}.so"
    IMPORTED_SONAME "lib${lib}.so")
endforeach()

add_library(kvla_torch INTERFACE)
# After the system's folders, since the wheel carries headers of its own fmt.
foreach(dir include include/torch/csrc/api/include)
  target_compile_options(kvla_torch INTERFACE
    "$<$<COMPILE_LANGUAGE:CXX>:SHELL:-idirafter ${KVLA_TORCH_DIR}/${dir}>"
    "$<$<COMPILE_LANGUAGE:CUDA>:SHELL:-isystem ${KVLA_TORCH_DIR}/${dir}>")
endforeach()
target_link_options(kvla_torch INTERFACE "-Wl,--allow-shlib-undefined")
target_link_libraries(kvla_torch INTERFACE kvla_torch_cpu kvla_c10 Threads::Threads)

if(KVLA_CUDA)
  include(torch_cuda)
else()
  # libtorch_cpu.so wants libcudart.so.13 and libcupti.so.13 at load time, for its profiler only.
  # On a machine without CUDA these answer every call with an error, so nothing of CUDA is needed.
  foreach(stub cudart cupti)
    add_library(kvla_${stub}_stub SHARED "${PROJECT_SOURCE_DIR}/cmake/cuda_stubs/${stub}.c")
    set_target_properties(kvla_${stub}_stub PROPERTIES
      OUTPUT_NAME ${stub} SOVERSION 13 LINK_DEPENDS
      "${PROJECT_SOURCE_DIR}/cmake/cuda_stubs/${stub}.map"
      LIBRARY_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/cuda_stubs")
    target_link_options(kvla_${stub}_stub PRIVATE
      "-Wl,--version-script=${PROJECT_SOURCE_DIR}/cmake/cuda_stubs/${stub}.map")
  endforeach()
  # Linked by every executable, so that these are loaded before any others of the same name. One
  # group: CMake writes a repeated flag only once.
  target_link_libraries(kvla_torch INTERFACE
    "-Wl,--push-state,--no-as-needed" kvla_cudart_stub kvla_cupti_stub "-Wl,--pop-state")
endif()

# SPDX-License-Identifier: Apache-2.0
# The CUDA side of LibTorch, for KVLA_CUDA=ON. The toolkit (13.x) is the machine's; what it lacks
# (cuDNN, NCCL, cuFile, cuSPARSELt, NVSHMEM) comes from wheels by `scripts/setup.sh --cuda`, which
# lie beside torch/, where libtorch_cuda.so looks for them.
find_package(CUDAToolkit 13 REQUIRED)
foreach(lib c10_cuda torch_cuda)
  add_library(kvla_${lib} SHARED IMPORTED GLOBAL)
  set_target_properties(kvla_${lib} PROPERTIES
    IMPORTED_LOCATION "${KVLA_TORCH_DIR}/lib/lib${lib}.so"
    IMPORTED_SONAME "lib${lib}.so")
endforeach()
# libtorch_cuda registers its kernels when loaded: nothing refers to it by symbol.
target_link_libraries(kvla_torch INTERFACE
  "-Wl,--push-state,--no-as-needed" kvla_torch_cuda kvla_c10_cuda CUDA::cudart CUDA::cupti
  "-Wl,--pop-state")
target_compile_definitions(kvla_torch INTERFACE KVLA_CUDA=1)

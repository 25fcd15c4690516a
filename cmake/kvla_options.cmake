# SPDX-License-Identifier: Apache-2.0
# Flags for every target, and the helpers that declare kvla's own libraries.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()
set(CMAKE_CXX_FLAGS_RELEASE "-O3 -DNDEBUG")
set(CMAKE_C_FLAGS_RELEASE "-O3 -DNDEBUG")

# Any machine with AVX2 and FMA. Multiplications and additions are not fused behind the source's
# back, and there is no -ffast-math: the same source gives the same bits in every preset.
add_compile_options("$<$<COMPILE_LANGUAGE:C,CXX>:-march=x86-64-v3;-ffp-contract=off>")
add_compile_options("$<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra>")
include_directories("${PROJECT_SOURCE_DIR}")

if(KVLA_SANITIZE)
  add_compile_options(
    "$<$<COMPILE_LANGUAGE:C,CXX>:-fsanitize=${KVLA_SANITIZE};-fno-omit-frame-pointer>")
  add_link_options("-fsanitize=${KVLA_SANITIZE}")
endif()

if(KVLA_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    message(FATAL_ERROR "KVLA_FUZZ needs clang (apt install clang libclang-rt-dev): use the preset fuzz")
  endif()
  # Coverage for libFuzzer in every target.
  add_compile_options("$<$<COMPILE_LANGUAGE:C,CXX>:-fsanitize=fuzzer-no-link>")
endif()

find_program(KVLA_CCACHE ccache)
if(KVLA_CCACHE)
  # The sloppiness that precompiled headers need.
  set(launcher "${CMAKE_COMMAND}" -E env
      "CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime"
      "${KVLA_CCACHE}")
  set(CMAKE_C_COMPILER_LAUNCHER ${launcher})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${launcher})
  set(CMAKE_CUDA_COMPILER_LAUNCHER ${launcher})
endif()
find_program(KVLA_MOLD mold)
if(KVLA_MOLD)
  add_link_options("-fuse-ld=mold")
endif()

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

# kvla_library(NAME SOURCES... ) declares target NAME; without sources it is an INTERFACE library.
# Sets NAME_SCOPE in the caller to PUBLIC or INTERFACE for target_link_libraries.
function(kvla_library name)
  list(FILTER ARGN EXCLUDE REGEX "_test\\.cc$")
  if(ARGN)
    add_library(${name} STATIC ${ARGN})
    set(${name}_SCOPE PUBLIC PARENT_SCOPE)
  else()
    add_library(${name} INTERFACE)
    set(${name}_SCOPE INTERFACE PARENT_SCOPE)
  endif()
endfunction()

# Shares the precompiled tensors/torch.h (17 s a translation unit without it).
function(kvla_use_torch_pch name)
  target_precompile_headers(${name} REUSE_FROM kvla_tensors)
endfunction()

# Fails with the one thing to do when an unpacked dependency is missing.
function(kvla_require_unpacked path)
  if(NOT EXISTS "${path}")
    message(FATAL_ERROR "missing ${path}: run scripts/setup.sh first")
  endif()
endfunction()

# A source of wider vectors: nothing in it may run, or be linked into the rest, on a machine without
# them. (GCC 12 takes its own header's undefined operands for ours.)
function(kvla_avx512_source file)
  set_source_files_properties(${file} PROPERTIES COMPILE_OPTIONS
    "-mavx512f;-mavx512bw;-mavx512dq;-mavx512vl;-Wno-maybe-uninitialized;-Wno-uninitialized"
    SKIP_PRECOMPILE_HEADERS ON)
endfunction()

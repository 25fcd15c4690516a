# SPDX-License-Identifier: Apache-2.0
# MuJoCo 4.0.0, from the wheel mujoco-core==4.0.0 that scripts/setup.sh unpacks.
set(KVLA_MUJOCO_DIR "${KVLA_DEPS_DIR}/mujoco-4.0.0/mujoco")
kvla_require_unpacked("${KVLA_MUJOCO_DIR}/libmujoco.so.4.0.0")
add_library(kvla_mujoco SHARED IMPORTED GLOBAL)
set_target_properties(kvla_mujoco PROPERTIES
  IMPORTED_LOCATION "${KVLA_MUJOCO_DIR}/libmujoco.so.4.0.0"
  IMPORTED_SONAME "libmujoco.so.4.0.0"
  INTERFACE_INCLUDE_DIRECTORIES "${KVLA_MUJOCO_DIR}/include")

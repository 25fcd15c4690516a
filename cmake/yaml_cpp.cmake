# SPDX-License-Identifier: Apache-2.0
# yaml-cpp (system package libyaml-cpp-dev); 0.7 and 0.8 name the target differently.
find_package(yaml-cpp REQUIRED)
add_library(kvla_yaml INTERFACE)
if(TARGET yaml-cpp::yaml-cpp)
  target_link_libraries(kvla_yaml INTERFACE yaml-cpp::yaml-cpp)
else()
  target_link_libraries(kvla_yaml INTERFACE yaml-cpp)
endif()

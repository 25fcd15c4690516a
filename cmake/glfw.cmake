# SPDX-License-Identifier: Apache-2.0
# GLFW (system package libglfw3-dev).
find_package(glfw3 REQUIRED)

# SPDX-License-Identifier: Apache-2.0
# EGL and OpenGL through libglvnd (system packages libegl-dev libgl-dev libopengl-dev; the driver is
# Mesa's).
find_package(OpenGL REQUIRED COMPONENTS OpenGL EGL)

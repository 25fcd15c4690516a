# SPDX-License-Identifier: Apache-2.0
# GoogleTest (system package libgtest-dev).
find_package(GTest REQUIRED)

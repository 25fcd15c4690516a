# SPDX-License-Identifier: Apache-2.0
# zlib (system package zlib1g-dev).
find_package(ZLIB REQUIRED)

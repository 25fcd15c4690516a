# SPDX-License-Identifier: Apache-2.0
# spdlog (system package libspdlog-dev).
find_package(spdlog REQUIRED)

# SPDX-License-Identifier: Apache-2.0
# CLI11 (system package libcli11-dev).
find_package(CLI11 REQUIRED)

# SPDX-License-Identifier: Apache-2.0
# fmt (system package libfmt-dev).
find_package(fmt REQUIRED)

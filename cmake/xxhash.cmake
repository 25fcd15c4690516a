# SPDX-License-Identifier: Apache-2.0
# xxHash (system package libxxhash-dev).
pkg_check_modules(xxhash REQUIRED IMPORTED_TARGET libxxhash)

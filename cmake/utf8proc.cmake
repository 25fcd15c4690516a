# SPDX-License-Identifier: Apache-2.0
# utf8proc (system package libutf8proc-dev): Unicode's decomposition and categories.
pkg_check_modules(utf8proc REQUIRED IMPORTED_TARGET libutf8proc)

# SPDX-License-Identifier: Apache-2.0
# SQLite (system package libsqlite3-dev).
find_package(SQLite3 REQUIRED)

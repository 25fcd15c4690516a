# SPDX-License-Identifier: Apache-2.0
# nlohmann-json (system package nlohmann-json3-dev).
find_package(nlohmann_json REQUIRED)

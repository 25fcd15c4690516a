# spdlog (system package libspdlog-dev).
find_package(spdlog REQUIRED)

# CLI11 (system package libcli11-dev).
find_package(CLI11 REQUIRED)

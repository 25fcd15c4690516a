# GoogleTest (system package libgtest-dev).
find_package(GTest REQUIRED)

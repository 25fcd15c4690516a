# fmt (system package libfmt-dev).
find_package(fmt REQUIRED)

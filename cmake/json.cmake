# nlohmann-json (system package nlohmann-json3-dev).
find_package(nlohmann_json REQUIRED)

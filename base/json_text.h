// SPDX-License-Identifier: Apache-2.0
// JSON as text. nlohmann's dump() throws where a text is not UTF-8, as names from files may be.
#ifndef KVLA_BASE_JSON_TEXT_H_
#define KVLA_BASE_JSON_TEXT_H_

#include <nlohmann/json.hpp>
#include <string>

namespace kvla {

// On one line, or indented by `indent` blanks a level; bytes that are not UTF-8 become U+FFFD.
inline std::string JsonText(const nlohmann::json& value, int indent = -1) {
  return value.dump(indent, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace kvla

#endif  // KVLA_BASE_JSON_TEXT_H_

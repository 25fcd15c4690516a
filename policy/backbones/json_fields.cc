// SPDX-License-Identifier: Apache-2.0
#include "policy/backbones/json_fields.h"

#include <fmt/format.h>

#include <cstdint>

namespace kvla {

Result<Json> ParseJsonObject(const std::string& text) {
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return BadInput("it is no JSON object");
  return json;
}

const Json& JsonFields::Any(const char* key) const {
  static const Json nothing;
  const auto found = object_.find(key);
  return found == object_.end() ? nothing : *found;
}

void JsonFields::Refuse(const char* key, const std::string& why) {
  if (status_.ok()) status_ = BadInput(fmt::format("{}: {}", key, why));
}

int JsonFields::Int(const char* key, int least, int most, std::optional<int> otherwise) {
  const Json& value = Any(key);
  if (value.is_null() && otherwise) return *otherwise;
  const bool huge = value.is_number_unsigned() && value.get<uint64_t>() > INT64_MAX;
  if (!value.is_number_integer() || huge || value < int64_t{least} || value > int64_t{most}) {
    Refuse(key, fmt::format("a whole number from {} to {} is wanted", least, most));
    return least;
  }
  return value.get<int>();
}

double JsonFields::Number(const char* key, double least, double most,
                          std::optional<double> otherwise) {
  const Json& value = Any(key);
  if (value.is_null() && otherwise) return *otherwise;
  const double number = value.is_number() ? value.get<double>() : least - 1;
  if (!(number >= least && number <= most)) {
    Refuse(key, fmt::format("a number from {} to {} is wanted", least, most));
    return least;
  }
  return number;
}

bool JsonFields::Flag(const char* key, std::optional<bool> otherwise) {
  const Json& value = Any(key);
  if (value.is_null() && otherwise) return *otherwise;
  if (!value.is_boolean()) {
    Refuse(key, "true or false is wanted");
    return false;
  }
  return value.get<bool>();
}

std::string JsonFields::Text(const char* key, std::optional<std::string> otherwise) {
  const Json& value = Any(key);
  if (value.is_null() && otherwise) return *otherwise;
  if (!value.is_string()) {
    Refuse(key, "a text is wanted");
    return "";
  }
  return value.get<std::string>();
}

const Json& JsonFields::Object(const char* key, bool needed) {
  static const Json empty = Json::object();
  const Json& value = Any(key);
  if (value.is_object()) return value;
  if (needed || !value.is_null()) Refuse(key, "an object is wanted");
  return empty;
}

}  // namespace kvla

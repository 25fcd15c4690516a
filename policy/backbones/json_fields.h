// SPDX-License-Identifier: Apache-2.0
// Values of a published JSON object by their keys, checked. No torch.
#ifndef KVLA_POLICY_BACKBONES_JSON_FIELDS_H_
#define KVLA_POLICY_BACKBONES_JSON_FIELDS_H_

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "base/status.h"

namespace kvla {

// Keys in the file's order: cameras come in that of the config.
using Json = nlohmann::ordered_json;

// The text as a JSON object, else BadInput.
Result<Json> ParseJsonObject(const std::string& text);

// Keeps the first thing that was wrong, by its key; what is asked for afterwards is still read. A
// value that is absent or null is `otherwise`, and wrong where there is none. Borrows the object.
class JsonFields {
 public:
  explicit JsonFields(const Json& object) : object_(object) {}

  int Int(const char* key, int least, int most, std::optional<int> otherwise = std::nullopt);
  double Number(const char* key, double least, double most,
                std::optional<double> otherwise = std::nullopt);
  bool Flag(const char* key, std::optional<bool> otherwise = std::nullopt);
  std::string Text(const char* key, std::optional<std::string> otherwise = std::nullopt);
  // An object; an empty one where it is absent and `needed` is not set.
  const Json& Object(const char* key, bool needed = true);
  // The value, or null where it is absent.
  const Json& Any(const char* key) const;
  // Says that a value, of a kind that was read, cannot be.
  void Refuse(const char* key, const std::string& why);

  const Status& status() const { return status_; }

 private:
  const Json& object_;
  Status status_;
};

}  // namespace kvla

#endif  // KVLA_POLICY_BACKBONES_JSON_FIELDS_H_

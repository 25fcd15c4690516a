// SPDX-License-Identifier: Apache-2.0
// What a config may say, from the field lists (base/config_fields.h).
#ifndef KVLA_BASE_CONFIG_HELP_H_
#define KVLA_BASE_CONFIG_HELP_H_

#include <string>
#include <vector>

#include "base/config_io.h"

namespace kvla {

std::string DocumentWalk(const FieldWalk& walk);

// Every field with its default, below a comment that says what it is and may be. It is YAML that
// reads back as the defaults; what an item of a list may hold is commented out.
template <class T>
std::string DocumentConfig() {
  T config{};
  return DocumentWalk([&](FieldVisitor& v) { config.Fields(v); });
}

// "text, one of [a, b]", "int, 1 to 4096", "number, at least 0", or the type where all of it goes.
std::string TypeText(const FieldInfo& field);

// One line a field: path, type, limits, default, help.
std::string FormatFields(const std::vector<FieldInfo>& fields);

// The fields that `name` stands for: a whole path ("arms[].cache.threshold"), its end
// ("cache.threshold"), or a section ("stop_when"). BadInput with the nearest: there is none.
Result<std::vector<FieldInfo>> FindFields(const std::vector<FieldInfo>& fields,
                                          const std::string& name);

}  // namespace kvla

#endif  // KVLA_BASE_CONFIG_HELP_H_

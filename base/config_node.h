// SPDX-License-Identifier: Apache-2.0
// A YAML document as a plain tree that knows where each value was written.
#ifndef KVLA_BASE_CONFIG_NODE_H_
#define KVLA_BASE_CONFIG_NODE_H_

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace kvla {

struct ConfigMember;

struct ConfigNode {
  enum class Kind { kNull, kScalar, kList, kMap };

  Kind kind = Kind::kNull;
  std::string where;                  // "file.yaml:12", or "--set a.b=c"
  std::string text;                   // kScalar
  bool quoted = false;                // kScalar: written in quotes, hence text and nothing else
  std::vector<ConfigNode> items;      // kList
  std::vector<ConfigMember> members;  // kMap, in file order, keys unique

  // Defined where ConfigMember is complete.
  ConfigNode();
  ConfigNode(const ConfigNode&);
  ConfigNode(ConfigNode&&) noexcept;
  ConfigNode& operator=(const ConfigNode&);
  ConfigNode& operator=(ConfigNode&&) noexcept;
  ~ConfigNode();

  const ConfigNode* Find(std::string_view key) const;
  ConfigNode* Find(std::string_view key);
  void Add(std::string key, ConfigNode value);
};

struct ConfigMember {
  std::string key;
  ConfigNode value;
};

// Parses one YAML document. `origin` names it in messages: "where" is origin:line where
// `with_lines`, else origin alone. BadInput: invalid YAML, duplicate keys, a key that is no scalar,
// several documents, nested or expanded beyond reason. An empty document is an empty map.
Result<ConfigNode> ParseYaml(const std::string& text, const std::string& origin,
                             bool with_lines = true);
Result<ConfigNode> LoadYamlFile(const std::filesystem::path& path);

// What a list does that meets another one in MergeNode().
enum class ListRule {
  kReplace,
  kByName,  // items that all have a `name` are merged by it, new ones are appended
};

// Lays `value` over `target`: maps member by member, everything else replaces. Keys new to `target`
// are added for the parser to judge.
void MergeNode(ConfigNode value, ListRule lists, ConfigNode* target);

// Applies "a.b=value": the value is YAML. List items are addressed by index, by the value of their
// `name` (which may hold dots), or all at once by `*`. Every part of the path must exist in `root`
// (which should hold every field: see PrintConfig); a map given as the value is merged into the map
// there.
Status ApplyOverride(const std::string& assignment, ConfigNode* root);

}  // namespace kvla

#endif  // KVLA_BASE_CONFIG_NODE_H_

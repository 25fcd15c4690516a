// SPDX-License-Identifier: Apache-2.0
// Config structs (see base/config_fields.h) from and to YAML.
//
// Every error is BadInput and says where, in which section, and the nearest valid name:
//   run.yaml:12: unknown key 'windw_blocks' in 'arms.gated.cache'; did you mean 'window_blocks'?
// Up to five errors are reported at once, one a line.
#ifndef KVLA_BASE_CONFIG_IO_H_
#define KVLA_BASE_CONFIG_IO_H_

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/config_compose.h"
#include "base/config_fields.h"
#include "base/config_node.h"
#include "base/hash.h"
#include "base/status.h"

namespace kvla {

// Walks any struct's fields; the glue between the templates below and config_io.cc.
using FieldWalk = std::function<void(FieldVisitor&)>;
Status ParseFields(const ConfigNode& node, const FieldWalk& walk);
std::string PrintFields(const FieldWalk& walk);
std::vector<FieldInfo> DescribeWalk(const FieldWalk& walk);

// Fills `config` from `node`; fields that the node does not name keep their value, a list that it
// names is replaced. On an error `config` is unchanged.
template <class T>
Status ParseConfig(const ConfigNode& node, T* config) {
  T parsed = *config;
  const Status status = ParseFields(node, [&](FieldVisitor& v) { parsed.Fields(v); });
  if (status.ok()) *config = std::move(parsed);
  return status;
}

// Every field, as canonical YAML that parses back to the same struct.
template <class T>
std::string PrintConfig(const T& config) {
  T copy = config;
  return PrintFields([&](FieldVisitor& v) { copy.Fields(v); });
}

// Hex xxHash64 of PrintConfig: equal for equal settings, however they were written.
template <class T>
std::string ConfigHash(const T& config) {
  return HashHex(PrintConfig(config));
}

// Every leaf field with its default, in the order of the field lists.
template <class T>
std::vector<FieldInfo> DescribeFields() {
  T config{};
  return DescribeWalk([&](FieldVisitor& v) { config.Fields(v); });
}

// Applies overrides ("arms.gated.cache.threshold=0.5") to a parsed struct.
template <class T>
Status OverrideConfig(const std::vector<std::string>& overrides, T* config) {
  if (overrides.empty()) return {};
  // The printed form holds every field, so that any path can be checked and addressed.
  Result<ConfigNode> root = ParseYaml(PrintConfig(*config), "(config)", false);
  if (!root.ok()) return root.status();
  for (const std::string& assignment : overrides) {
    if (Status status = ApplyOverride(assignment, &*root); !status.ok()) return status;
  }
  T parsed{};
  const Status status = ParseConfig(*root, &parsed);
  if (status.ok()) *config = std::move(parsed);
  return status;
}

// Starts from the defaults in `config`, then the file (what it includes, extends and expands to:
// see base/config_compose.h), then the overrides.
template <class T>
Status LoadConfigFile(const std::filesystem::path& path, const std::vector<std::string>& overrides,
                      T* config) {
  const Result<ConfigNode> node = LoadComposedFile(path);
  if (!node.ok()) return node.status();
  T parsed = *config;
  if (Status status = ParseConfig(*node, &parsed); !status.ok()) return status;
  if (Status status = OverrideConfig(overrides, &parsed); !status.ok()) return status;
  *config = std::move(parsed);
  return {};
}

}  // namespace kvla

#endif  // KVLA_BASE_CONFIG_IO_H_

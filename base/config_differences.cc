// SPDX-License-Identifier: Apache-2.0
#include "base/config_differences.h"

#include <fmt/format.h>

#include <map>

#include "base/status.h"
#include "base/text.h"

namespace kvla {
namespace {

// "arms.gated.cache.threshold" -> "0.5"
void Flatten(const ConfigNode& node, const std::string& path,
             std::map<std::string, std::string>* out) {
  const std::string prefix = path.empty() ? "" : path + ".";
  for (const auto& [key, value] : node.members) Flatten(value, prefix + key, out);
  for (size_t i = 0; i < node.items.size(); ++i) {
    const ConfigNode* name = node.items[i].Find("name");
    Flatten(node.items[i], prefix + (name != nullptr ? name->text : std::to_string(i)), out);
  }
  if (node.members.empty() && node.items.empty()) (*out)[path] = "'" + node.text + "'";
}

}  // namespace

std::vector<std::string> ConfigDifferences(const std::string& was, const std::string& now,
                                           const std::string& holder) {
  const Result<ConfigNode> was_node = ParseYaml(was, "was"), now_node = ParseYaml(now, "now");
  if (!was_node.ok() || !now_node.ok()) return {"config differs"};
  std::map<std::string, std::string> was_values, now_values;
  Flatten(*was_node, "", &was_values);
  Flatten(*now_node, "", &now_values);
  std::vector<std::string> out;
  for (const auto& [path, value] : was_values) {
    const auto found = now_values.find(path);
    if (found == now_values.end()) {
      out.push_back(fmt::format("{} is {} in {}, absent now", path, value, holder));
    } else if (found->second != value) {
      out.push_back(fmt::format("{} is {} in {}, {} now", path, value, holder, found->second));
    }
  }
  for (const auto& [path, value] : now_values) {
    if (!was_values.contains(path)) {
      out.push_back(fmt::format("{} is absent in {}, {} now", path, holder, value));
    }
  }
  if (out.empty()) out.emplace_back("the config lists the same settings in another order");
  return out;
}

std::vector<ConfigMember> ChangedMembers(const std::string& was, const std::string& now) {
  const Result<ConfigNode> was_node = ParseYaml(was, "was"), now_node = ParseYaml(now, "now");
  std::vector<ConfigMember> changed;
  if (!was_node.ok() || !now_node.ok()) return changed;
  for (const ConfigMember& member : now_node->members) {
    const ConfigNode* before = was_node->Find(member.key);
    if (before == nullptr || before->text != member.value.text) changed.push_back(member);
  }
  return changed;
}

std::string ListDifferences(std::vector<std::string> differences) {
  constexpr size_t kMost = 8;
  if (differences.size() > kMost) {
    const size_t more = differences.size() - kMost;
    differences.resize(kMost);
    differences.push_back(fmt::format("and {} more", more));
  }
  return Join(differences, "\n  ");
}

}  // namespace kvla

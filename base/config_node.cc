#include "base/config_node.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <exception>

#include "base/files.h"
#include "base/text.h"

namespace kvla {
namespace {

constexpr int kMaxDepth = 64;
constexpr int kMaxNodes = 200'000;  // aliases can make a short file expand without end
constexpr size_t kMaxBytes = size_t{4} << 20;

class Converter {
 public:
  Converter(const std::string& origin, bool with_lines) : origin_(origin), lines_(with_lines) {}

  Status Convert(const YAML::Node& node, int depth, ConfigNode* out) {
    out->where = Where(node.Mark());
    if (depth > kMaxDepth) return BadInput(out->where + ": nested too deeply");
    if (++nodes_ > kMaxNodes) return BadInput(out->where + ": too large once aliases are expanded");
    if (node.IsScalar()) {
      out->kind = ConfigNode::Kind::kScalar;
      out->text = node.Scalar();
      out->quoted = node.Tag() == "!";  // what yaml-cpp tags quoted and block text with
    } else if (node.IsSequence()) {
      out->kind = ConfigNode::Kind::kList;
      for (const YAML::Node& item : node) {
        out->items.emplace_back();
        if (Status s = Convert(item, depth + 1, &out->items.back()); !s.ok()) return s;
      }
    } else if (node.IsMap()) {
      out->kind = ConfigNode::Kind::kMap;
      for (const auto& member : node) {
        const std::string where = Where(member.first.Mark());
        if (!member.first.IsScalar()) return BadInput(where + ": a key must be a plain name");
        const std::string& key = member.first.Scalar();
        if (const ConfigNode* first = out->Find(key)) {
          return BadInput(
              fmt::format("{}: key '{}' is there twice (first at {})", where, key, first->where));
        }
        out->members.emplace_back(key, ConfigNode());
        ConfigNode& value = out->members.back().second;
        if (Status s = Convert(member.second, depth + 1, &value); !s.ok()) return s;
        // Messages about a member point at its key.
        value.where = where;
      }
    }
    return {};
  }

 private:
  std::string Where(const YAML::Mark& mark) const {
    return lines_ && mark.line >= 0 ? fmt::format("{}:{}", origin_, mark.line + 1) : origin_;
  }

  const std::string& origin_;
  bool lines_;
  int nodes_ = 0;
};

// Replaces, or merges maps member by member; keys new to `target` are left for the parser to judge.
void Merge(ConfigNode value, ConfigNode* target) {
  if (value.kind != ConfigNode::Kind::kMap || target->kind != ConfigNode::Kind::kMap) {
    *target = std::move(value);
    return;
  }
  for (auto& [key, member] : value.members) {
    if (ConfigNode* old = target->Find(key)) {
      Merge(std::move(member), old);
    } else {
      target->members.emplace_back(key, std::move(member));
    }
  }
}

// The item of a list that `name` addresses, or null.
ConfigNode* FindItem(ConfigNode* list, const std::string& name, std::vector<std::string>* valid) {
  for (size_t i = 0; i < list->items.size(); ++i) {
    const ConfigNode* item_name = list->items[i].Find("name");
    valid->push_back(item_name != nullptr && !item_name->text.empty() ? item_name->text
                                                                      : std::to_string(i));
    if (valid->back() == name) return &list->items[i];
  }
  size_t index = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), index);
  const bool is_index = error == std::errc() && end == name.data() + name.size();
  return is_index && index < list->items.size() ? &list->items[index] : nullptr;
}

}  // namespace

const ConfigNode* ConfigNode::Find(std::string_view key) const {
  return const_cast<ConfigNode*>(this)->Find(key);
}

ConfigNode* ConfigNode::Find(std::string_view key) {
  const auto found = std::find_if(members.begin(), members.end(),
                                  [&](const auto& member) { return member.first == key; });
  return found == members.end() ? nullptr : &found->second;
}

Result<ConfigNode> ParseYaml(const std::string& text, const std::string& origin, bool with_lines) {
  if (text.size() > kMaxBytes) return BadInput(origin + ": larger than any config (4 MiB)");
  if (text.find('\0') != std::string::npos) return BadInput(origin + ": not text (a zero byte)");
  if (!IsUtf8(text)) return BadInput(origin + ": not text in UTF-8");
  try {
    const std::vector<YAML::Node> documents = YAML::LoadAll(text);
    if (documents.size() > 1) return BadInput(origin + ": more than one YAML document");
    ConfigNode root;
    root.where = origin;
    root.kind = ConfigNode::Kind::kMap;
    if (documents.empty() || documents[0].IsNull()) return root;
    root.kind = ConfigNode::Kind::kNull;
    Converter converter(origin, with_lines);
    if (Status s = converter.Convert(documents[0], 0, &root); !s.ok()) return s;
    return root;
  } catch (const YAML::Exception& e) {
    const std::string line =
        with_lines && !e.mark.is_null() ? fmt::format(":{}", e.mark.line + 1) : "";
    return BadInput(fmt::format("{}{}: invalid YAML: {}", origin, line, e.msg));
  } catch (const std::exception& e) {
    return BadInput(fmt::format("{}: invalid YAML: {}", origin, e.what()));
  }
}

Result<ConfigNode> LoadYamlFile(const std::filesystem::path& path) {
  Result<std::string> text = ReadFile(path, kMaxBytes);
  if (!text.ok()) return text.status();
  return ParseYaml(*text, path.string());
}

Status ApplyOverride(const std::string& assignment, ConfigNode* root) {
  const std::string origin = "--set " + assignment;
  const size_t equals = assignment.find('=');
  if (equals == std::string::npos || equals == 0) {
    return BadInput(origin + ": expected key=value, as in cache.window_blocks=16");
  }
  Result<ConfigNode> value = ParseYaml(assignment.substr(equals + 1), origin, false);
  if (!value.ok()) return value.status();
  if (value->kind == ConfigNode::Kind::kMap && value->members.empty()) {
    return BadInput(origin + ": no value after '='");
  }

  ConfigNode* node = root;
  std::string section;
  size_t begin = 0;
  while (begin <= equals) {
    const size_t end = std::min(assignment.find('.', begin), equals);
    const std::string part = assignment.substr(begin, end - begin);
    std::vector<std::string> valid;
    ConfigNode* next = nullptr;
    if (node->kind == ConfigNode::Kind::kMap) {
      for (const auto& member : node->members) valid.push_back(member.first);
      next = node->Find(part);
    } else if (node->kind == ConfigNode::Kind::kList) {
      next = FindItem(node, part, &valid);
    }
    if (next == nullptr) {
      const std::string where = section.empty() ? "at the top level" : "in '" + section + "'";
      if (valid.empty()) return BadInput(fmt::format("{}: nothing to set {}", origin, where));
      return BadInput(
          fmt::format("{}: unknown key '{}' {}{}", origin, part, where, DidYouMean(part, valid)));
    }
    section += (section.empty() ? "" : ".") + part;
    node = next;
    begin = end + 1;
  }
  Merge(std::move(*value), node);
  return {};
}

}  // namespace kvla

// SPDX-License-Identifier: Apache-2.0
#include "base/config_node.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <exception>
#include <sstream>

#include "base/files.h"
#include "base/text.h"

namespace kvla {
namespace {

constexpr int kMaxDepth = 64;
constexpr int kMaxNodes = 200'000;  // aliases can make a short file expand without end
constexpr size_t kMaxBytes = size_t{4} << 20;

// Listens to nothing.
class Deaf : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t,
                const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {}
  void OnMapEnd() override {}
};

// 0, 1, or 2 for more. Not by YAML::LoadAll(), which finds documents without end in ", a: b" until
// the memory is full.
int CountDocuments(const std::string& text) {
  std::istringstream stream(text);
  YAML::Parser parser(stream);
  Deaf deaf;
  int count = 0;
  while (count < 2 && parser.HandleNextDocument(deaf)) ++count;
  return count;
}

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
        out->Add(key, ConfigNode());
        ConfigNode& value = out->members.back().value;
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

// Whether `list` holds sections that all have a name.
bool IsNamedList(const ConfigNode& list) {
  return list.kind == ConfigNode::Kind::kList &&
         std::all_of(list.items.begin(), list.items.end(), [](const ConfigNode& item) {
           const ConfigNode* name = item.Find("name");
           return name != nullptr && name->kind == ConfigNode::Kind::kScalar;
         });
}

// What the items of a list are called: their names, or their numbers.
std::vector<std::string> ItemNames(const ConfigNode& list) {
  std::vector<std::string> names;
  for (size_t i = 0; i < list.items.size(); ++i) {
    const ConfigNode* name = list.items[i].Find("name");
    names.push_back(name != nullptr && !name->text.empty() ? name->text : std::to_string(i));
  }
  return names;
}

// One assignment on its way down the tree.
class Override {
 public:
  Override(const std::string& assignment, ConfigNode value)
      : origin_("--set " + assignment), value_(std::move(value)) {}

  // `path` is what is left of it, `section` what was walked already.
  Status Apply(std::string_view path, const std::string& section, ConfigNode* node) const {
    if (path.empty()) {
      MergeNode(value_, ListRule::kReplace, node);
      return {};
    }
    std::vector<std::string> valid;
    if (node->kind == ConfigNode::Kind::kMap) {
      for (const ConfigMember& member : node->members) valid.push_back(member.key);
    } else if (node->kind == ConfigNode::Kind::kList) {
      valid = ItemNames(*node);
      if (!valid.empty() && (path == "*" || path.starts_with("*."))) {
        for (size_t i = 0; i < node->items.size(); ++i) {
          const Status status = Apply(Rest(path, 1), Below(section, valid[i]), &node->items[i]);
          if (!status.ok()) return status;
        }
        return {};
      }
    }
    // Names of items may hold dots: the longest one that fits is meant.
    size_t found = valid.size();
    for (size_t i = 0; i < valid.size(); ++i) {
      const bool fits = path == valid[i] || path.starts_with(valid[i] + ".");
      if (fits && (found == valid.size() || valid[i].size() > valid[found].size())) found = i;
    }
    const std::string part(path.substr(0, path.find('.')));
    if (found != valid.size()) {
      ConfigNode* next =
          node->kind == ConfigNode::Kind::kMap ? &node->members[found].value : &node->items[found];
      return Apply(Rest(path, valid[found].size()), Below(section, valid[found]), next);
    }
    size_t index = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), index);
    if (error == std::errc() && end == part.data() + part.size() && index < node->items.size()) {
      return Apply(Rest(path, part.size()), Below(section, part), &node->items[index]);
    }
    const std::string where = section.empty() ? "at the top level" : "in '" + section + "'";
    if (valid.empty()) return BadInput(fmt::format("{}: nothing to set {}", origin_, where));
    return BadInput(
        fmt::format("{}: unknown key '{}' {}{}", origin_, part, where, DidYouMean(part, valid)));
  }

 private:
  static std::string Below(const std::string& section, const std::string& part) {
    return section.empty() ? part : section + "." + part;
  }
  // Without the first `size` letters and the dot after them.
  static std::string_view Rest(std::string_view path, size_t size) {
    return path.substr(std::min(path.size(), size + 1));
  }

  std::string origin_;
  ConfigNode value_;
};

}  // namespace

ConfigNode::ConfigNode() = default;
ConfigNode::ConfigNode(const ConfigNode&) = default;
ConfigNode::ConfigNode(ConfigNode&&) noexcept = default;
ConfigNode& ConfigNode::operator=(const ConfigNode&) = default;
ConfigNode& ConfigNode::operator=(ConfigNode&&) noexcept = default;
ConfigNode::~ConfigNode() = default;

void MergeNode(ConfigNode value, ListRule lists, ConfigNode* target) {
  using Kind = ConfigNode::Kind;
  if (value.kind == Kind::kMap && target->kind == Kind::kMap) {
    for (ConfigMember& member : value.members) {
      if (ConfigNode* old = target->Find(member.key)) {
        MergeNode(std::move(member.value), lists, old);
      } else {
        target->members.push_back(std::move(member));
      }
    }
    return;
  }
  if (lists == ListRule::kByName && IsNamedList(value) && IsNamedList(*target)) {
    for (ConfigNode& item : value.items) {
      const std::vector<std::string> names = ItemNames(*target);
      const auto found = std::find(names.begin(), names.end(), item.Find("name")->text);
      if (found == names.end()) {
        target->items.push_back(std::move(item));
      } else {
        ConfigNode& old = target->items[static_cast<size_t>(found - names.begin())];
        old.where = item.where;
        MergeNode(std::move(item), lists, &old);
      }
    }
    return;
  }
  *target = std::move(value);
}

const ConfigNode* ConfigNode::Find(std::string_view key) const {
  return const_cast<ConfigNode*>(this)->Find(key);
}

ConfigNode* ConfigNode::Find(std::string_view key) {
  const auto found = std::find_if(members.begin(), members.end(),
                                  [&](const auto& member) { return member.key == key; });
  return found == members.end() ? nullptr : &found->value;
}

void ConfigNode::Add(std::string key, ConfigNode value) {
  members.push_back({std::move(key), std::move(value)});
}

Result<ConfigNode> ParseYaml(const std::string& text, const std::string& origin, bool with_lines) {
  if (text.size() > kMaxBytes) return BadInput(origin + ": larger than any config (4 MiB)");
  if (text.find('\0') != std::string::npos) return BadInput(origin + ": not text (a zero byte)");
  if (!IsUtf8(text)) return BadInput(origin + ": not text in UTF-8");
  try {
    const int documents = CountDocuments(text);
    if (documents > 1) {
      return BadInput(origin + ": more than one YAML document (or a stray ',', ']' or '}')");
    }
    ConfigNode root;
    root.where = origin;
    root.kind = ConfigNode::Kind::kMap;
    const YAML::Node document = YAML::Load(text);
    if (documents == 0 || document.IsNull()) return root;
    root.kind = ConfigNode::Kind::kNull;
    Converter converter(origin, with_lines);
    if (Status s = converter.Convert(document, 0, &root); !s.ok()) return s;
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
  if (equals == std::string::npos || equals == 0 || assignment[equals - 1] == '.') {
    return BadInput(origin + ": expected key=value, as in cache.window_blocks=16");
  }
  Result<ConfigNode> value = ParseYaml(assignment.substr(equals + 1), origin, false);
  if (!value.ok()) return value.status();
  if (value->kind == ConfigNode::Kind::kMap && value->members.empty()) {
    return BadInput(origin + ": no value after '='");
  }

  return Override(assignment, *std::move(value))
      .Apply(std::string_view(assignment).substr(0, equals), "", root);
}

}  // namespace kvla

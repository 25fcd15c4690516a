// SPDX-License-Identifier: Apache-2.0
#include "base/config_compose.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/files.h"
#include "base/text.h"

namespace kvla {
namespace {

namespace fs = std::filesystem;
using Kind = ConfigNode::Kind;

constexpr size_t kMaxIncludes = 32;  // within one another
constexpr size_t kMaxItems = 10'000;

// Takes a member out of a section; nullopt when it is not there.
std::optional<ConfigNode> TakeMember(ConfigNode* section, std::string_view key) {
  const auto found = std::find_if(section->members.begin(), section->members.end(),
                                  [&](const ConfigMember& member) { return member.key == key; });
  if (found == section->members.end()) return std::nullopt;
  ConfigNode node = std::move(found->value);
  section->members.erase(found);
  return node;
}

bool IsText(const ConfigNode& node) { return node.kind == Kind::kScalar && !node.text.empty(); }

// ---- include ----

// Configs beside one that is not there, for its message.
std::vector<std::string> Neighbours(const fs::path& missing) {
  std::vector<std::string> names;
  std::error_code error;
  fs::directory_iterator entry(missing.parent_path(), error), end;
  for (; !error && entry != end; entry.increment(error)) {
    if (entry->path().extension() == ".yaml") names.push_back(entry->path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

// `open` are the files that are being read, outermost first.
Result<ConfigNode> LoadIncluding(const fs::path& path, std::vector<fs::path>* open) {
  Result<ConfigNode> own = LoadYamlFile(path);
  if (!own.ok()) return own;
  std::optional<ConfigNode> include = TakeMember(&*own, "include");
  if (!include) return own;
  std::vector<ConfigNode> files = std::move(include->items);
  if (include->kind == Kind::kScalar) files.push_back(*include);
  if (files.empty()) return BadInput(include->where + ": 'include': expected a file, or a list");

  open->push_back(CanonicalPath(path));
  ConfigNode merged;
  merged.where = own->where;
  merged.kind = Kind::kMap;
  for (const ConfigNode& file : files) {
    if (!IsText(file)) return BadInput(file.where + ": 'include': expected the name of a file");
    const fs::path other = path.parent_path() / file.text;
    const std::string where = fmt::format("{}: include '{}'", file.where, file.text);
    if (!IsFile(other)) {
      return BadInput(fmt::format("{}: there is no file {}{}", where, other.string(),
                                  DidYouMean(other.filename().string(), Neighbours(other))));
    }
    const fs::path canonical = CanonicalPath(other);
    if (std::find(open->begin(), open->end(), canonical) != open->end()) {
      return BadInput(where + ": the file includes itself, by way of others or not");
    }
    if (open->size() >= kMaxIncludes) return BadInput(where + ": nested too deeply");
    Result<ConfigNode> included = LoadIncluding(other, open);
    if (!included.ok()) return included;
    MergeNode(*std::move(included), ListRule::kByName, &merged);
  }
  open->pop_back();
  MergeNode(*std::move(own), ListRule::kByName, &merged);
  return merged;
}

// ---- extends, template ----

// The items of one list, each resolved once.
class Inheritance {
 public:
  Inheritance(const std::string& list, std::vector<ConfigNode> items)
      : list_(list), items_(std::move(items)), states_(items_.size(), State::kUntouched) {
    for (const ConfigNode& item : items_) {
      const ConfigNode* name = item.Find("name");
      names_.push_back(name != nullptr ? name->text : "");
    }
  }

  Status ResolveAll() {
    for (size_t i = 0; i < items_.size(); ++i) {
      if (Status status = Resolve(i); !status.ok()) return status;
    }
    return {};
  }
  std::vector<ConfigNode> Take() { return std::move(items_); }

 private:
  enum class State { kUntouched, kOpen, kDone };

  Status Resolve(size_t index) {
    if (states_[index] == State::kDone) return {};
    ConfigNode& item = items_[index];
    const ConfigNode* extends = item.Find("extends");
    if (extends == nullptr) {
      states_[index] = State::kDone;
      return {};
    }
    const std::string where = fmt::format("{}: '{}.{}'", extends->where, list_, names_[index]);
    if (!IsText(*extends)) return BadInput(where + ": 'extends': expected the name of an item");
    const std::string parent_name = extends->text;
    const auto found = std::find(names_.begin(), names_.end(), parent_name);
    if (found == names_.end()) {
      std::vector<std::string> others = names_;
      std::erase(others, names_[index]);
      std::erase(others, std::string());
      return BadInput(fmt::format("{} extends '{}', which is not in the list{}", where, parent_name,
                                  DidYouMean(parent_name, others)));
    }
    states_[index] = State::kOpen;
    const auto parent_index = static_cast<size_t>(found - names_.begin());
    if (states_[parent_index] == State::kOpen) {
      return BadInput(fmt::format("{} extends '{}', which extends it in turn", where, parent_name));
    }
    if (Status status = Resolve(parent_index); !status.ok()) return status;
    ConfigNode merged = items_[parent_index];
    TakeMember(&merged, "name");
    TakeMember(&merged, "template");
    TakeMember(&item, "extends");
    merged.where = item.where;
    MergeNode(std::move(item), ListRule::kByName, &merged);
    items_[index] = std::move(merged);
    states_[index] = State::kDone;
    return {};
  }

  const std::string& list_;
  std::vector<ConfigNode> items_;
  std::vector<State> states_;
  std::vector<std::string> names_;
};

Result<bool> IsTemplate(const ConfigNode& item) {
  const ConfigNode* node = item.Find("template");
  if (node == nullptr) return false;
  if (node->kind == Kind::kScalar && (node->text == "true" || node->text == "false")) {
    return node->text == "true";
  }
  return BadInput(node->where + ": 'template': expected true or false");
}

// ---- grid ----

// Sets the value at a dotted path below `section`, making what is missing; the parser judges the
// names. False when the path leads through something that is no section.
bool SetPath(const std::string& path, const ConfigNode& value, ConfigNode* section) {
  const size_t dot = path.find('.');
  const std::string key = path.substr(0, dot);
  if (section->kind != Kind::kMap) return false;
  ConfigNode* next = section->Find(key);
  if (next == nullptr) {
    ConfigNode made;
    made.kind = Kind::kMap;
    made.where = value.where;
    section->Add(key, std::move(made));
    next = &section->members.back().value;
  }
  if (dot != std::string::npos) return SetPath(path.substr(dot + 1), value, next);
  *next = value;
  return true;
}

// Puts the value's text where the name says "{path}" or "{last part of the path}". False when it
// says neither.
bool FillName(const std::string& path, const std::string& text, std::string* name) {
  const std::string last = path.substr(path.rfind('.') + 1);
  bool filled = false;
  for (const std::string& key : {path, last}) {
    const std::string place = "{" + key + "}";
    for (size_t at = name->find(place); at != std::string::npos;
         at = name->find(place, at + text.size())) {
      name->replace(at, place.size(), text);
      filled = true;
    }
  }
  return filled;
}

// All combinations of `item`'s grid, or the item itself.
Status ExpandGrid(ConfigNode item, std::vector<ConfigNode>* out) {
  const std::optional<ConfigNode> grid = TakeMember(&item, "grid");
  if (!grid) {
    out->push_back(std::move(item));
    return {};
  }
  if (grid->kind != Kind::kMap || grid->members.empty()) {
    return BadInput(grid->where + ": 'grid': expected keys with lists of values");
  }
  std::vector<ConfigNode> made = {std::move(item)};
  for (const ConfigMember& axis : grid->members) {
    if (axis.value.kind != Kind::kList || axis.value.items.empty()) {
      return BadInput(
          fmt::format("{}: 'grid.{}': expected a list of values", axis.value.where, axis.key));
    }
    std::vector<ConfigNode> next;
    for (const ConfigNode& one : made) {
      for (size_t v = 0; v < axis.value.items.size(); ++v) {
        if (next.size() + out->size() >= kMaxItems) {
          return BadInput(
              fmt::format("{}: the grid has more than {} items", grid->where, kMaxItems));
        }
        const ConfigNode& value = axis.value.items[v];
        ConfigNode copy = one;
        if (axis.key == "name" || !SetPath(axis.key, value, &copy)) {
          return BadInput(fmt::format("{}: 'grid.{}': that is no setting of this item",
                                      axis.value.where, axis.key));
        }
        const std::string text = value.kind == Kind::kScalar ? value.text : std::to_string(v + 1);
        ConfigNode* name = copy.Find("name");
        if (name != nullptr && !FillName(axis.key, text, &name->text)) name->text += "-" + text;
        next.push_back(std::move(copy));
      }
    }
    made = std::move(next);
  }
  std::move(made.begin(), made.end(), std::back_inserter(*out));
  return {};
}

}  // namespace

Status ExpandLists(ConfigNode* root) {
  for (ConfigMember& member : root->members) {
    if (member.value.kind != Kind::kList) continue;
    const bool uses = std::any_of(
        member.value.items.begin(), member.value.items.end(), [](const ConfigNode& item) {
          return item.Find("extends") != nullptr || item.Find("template") != nullptr ||
                 item.Find("grid") != nullptr;
        });
    if (!uses) continue;
    Inheritance inheritance(member.key, std::move(member.value.items));
    if (Status status = inheritance.ResolveAll(); !status.ok()) return status;
    member.value.items.clear();
    for (ConfigNode& item : inheritance.Take()) {
      const Result<bool> is_template = IsTemplate(item);
      if (!is_template.ok()) return is_template.status();
      if (*is_template) continue;
      TakeMember(&item, "template");
      if (Status status = ExpandGrid(std::move(item), &member.value.items); !status.ok()) {
        return status;
      }
    }
  }
  return {};
}

Result<ConfigNode> LoadComposedFile(const fs::path& path) {
  std::vector<fs::path> open;
  Result<ConfigNode> root = LoadIncluding(path, &open);
  if (!root.ok()) return root;
  if (Status status = ExpandLists(&*root); !status.ok()) return status;
  return root;
}

}  // namespace kvla

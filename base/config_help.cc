// SPDX-License-Identifier: Apache-2.0
#include "base/config_help.h"

#include <fmt/format.h>

#include <cmath>

#include "base/text.h"

namespace kvla {
namespace {

// Writes names and values with DescribeWalk()'s words, nested as YAML is.
class Documenter : public FieldVisitor {
 public:
  explicit Documenter(std::vector<FieldInfo> fields) : fields_(std::move(fields)) {}
  std::string Take() { return std::move(out_); }

 protected:
  void Leaf(const char* name, FieldRef, const Constraint&, const char*) override {
    const FieldInfo& field = fields_[next_++];
    Comment(fmt::format("{} ({})", field.help, TypeText(field)));
    Line(fmt::format("{}: {}", name, field.default_value));
  }
  void BeginStruct(const char* name, const char* help) override {
    Comment(help);
    Line(std::string(name) + ":");
    indent_ += 2;
  }
  void EndStruct() override { indent_ -= 2; }
  std::optional<size_t> BeginList(const char* name, size_t, const char* help) override {
    Comment(fmt::format("{} (list; an item may hold)", help));
    Line(std::string(name) + ": []");
    ++lists_;
    indent_ += 2;
    return 1;
  }
  void BeginItem(size_t) override {}
  void EndItem() override {}
  void EndList() override {
    --lists_;
    indent_ -= 2;
  }

 private:
  void Comment(const std::string& text) { Line("# " + text); }
  void Line(const std::string& text) {
    out_ += (lists_ > 0 ? "#" : "") + std::string(static_cast<size_t>(indent_), ' ') + text + "\n";
  }

  std::vector<FieldInfo> fields_;
  size_t next_ = 0;
  std::string out_;
  int indent_ = 0, lists_ = 0;
};

bool IsEnd(const std::string& path, const std::string& name) {
  if (!path.ends_with(name)) return false;
  return path.size() == name.size() || path[path.size() - name.size() - 1] == '.';
}

// The path without the marks of lists.
std::string Plain(std::string path) {
  for (size_t at = 0; (at = path.find("[]")) != std::string::npos;) path.erase(at, 2);
  return path;
}

}  // namespace

std::string DocumentWalk(const FieldWalk& walk) {
  Documenter documenter(DescribeWalk(walk));
  walk(documenter);
  return documenter.Take();
}

std::string TypeText(const FieldInfo& field) {
  if (!field.names.empty()) return field.type + ", one of [" + Join(field.names, ", ") + "]";
  if (!field.range) return field.type;
  const auto [low, high] = *field.range;
  if (std::isinf(low)) return fmt::format("{}, at most {}", field.type, high);
  if (std::isinf(high)) return fmt::format("{}, at least {}", field.type, low);
  return fmt::format("{}, {} to {}", field.type, low, high);
}

std::string FormatFields(const std::vector<FieldInfo>& fields) {
  std::string out;
  for (const FieldInfo& f : fields) {
    out += fmt::format("{} ({}; default {}): {}\n", f.path, TypeText(f), f.default_value, f.help);
  }
  return out;
}

Result<std::vector<FieldInfo>> FindFields(const std::vector<FieldInfo>& fields,
                                          const std::string& name) {
  std::vector<FieldInfo> found;
  std::vector<std::string> known;
  for (const FieldInfo& field : fields) {
    const std::string path = Plain(field.path);
    known.push_back(path);
    const size_t dot = path.rfind('.');
    if (dot != std::string::npos) known.push_back(path.substr(dot + 1));
    const bool section = ("." + path).find("." + Plain(name) + ".") != std::string::npos;
    if (IsEnd(path, Plain(name)) || section) found.push_back(field);
  }
  if (!found.empty() && !name.empty()) return found;
  return BadInput(fmt::format("no key '{}'{}", name, DidYouMean(name, known)));
}

}  // namespace kvla

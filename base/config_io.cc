// SPDX-License-Identifier: Apache-2.0
#include "base/config_io.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>
#include <type_traits>

#include "base/text.h"

namespace kvla {
namespace {

constexpr size_t kMaxErrors = 5;

template <class T>
inline constexpr bool kIsVector = false;
template <class T>
inline constexpr bool kIsVector<std::vector<T>> = true;

template <class T>
std::string TypeName() {
  if constexpr (kIsVector<T>) {
    return "list of " + TypeName<typename T::value_type>();
  } else if constexpr (std::is_same_v<T, bool>) {
    return "bool";
  } else if constexpr (std::is_integral_v<T>) {
    return "int";
  } else if constexpr (std::is_floating_point_v<T>) {
    return "number";
  } else {
    return "text";
  }
}

std::string TypeName(const FieldRef& field) {
  return std::visit([](auto* p) { return TypeName<std::remove_pointer_t<decltype(p)>>(); }, field);
}

// ---- printing ----

bool IsPlainText(const std::string& s) {
  static constexpr const char* kReserved[] = {"true", "false", "null", "yes", "no",
                                              "on",   "off",   "y",    "n"};
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  const auto inner = [&](char c) {
    return letter(c) || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.' || c == '/';
  };
  if (s.empty() || !letter(s[0]) || !std::all_of(s.begin(), s.end(), inner)) return false;
  std::string lower = s;
  std::transform(s.begin(), s.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return std::find(std::begin(kReserved), std::end(kReserved), lower) == std::end(kReserved);
}

std::string Print(const std::string& s) {
  if (IsPlainText(s)) return s;
  std::string out = "\"";
  for (const char c : s) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (byte < 0x20 || byte == 0x7f) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  return out + '"';
}
std::string Print(bool b) { return b ? "true" : "false"; }
std::string Print(double d) { return fmt::format("{}", d); }  // shortest that reads back
std::string Print(int i) { return std::to_string(i); }
std::string Print(int64_t i) { return std::to_string(i); }
std::string Print(uint64_t i) { return std::to_string(i); }
template <class T>
std::string Print(const std::vector<T>& list) {
  std::vector<std::string> parts;
  for (const T& item : list) parts.push_back(Print(item));
  return "[" + Join(parts, ", ") + "]";
}

class Printer : public FieldVisitor {
 public:
  std::string Take() { return out_.empty() ? "{}\n" : std::move(out_); }

 protected:
  void Leaf(const char* name, FieldRef field, const Constraint&, const char*) override {
    Line(name) += " " + std::visit([](auto* p) { return Print(*p); }, field) + "\n";
  }
  void BeginStruct(const char* name, const char*) override {
    Line(name) += "\n";
    indent_ += 2;
    starts_.push_back(out_.size());
  }
  void EndStruct() override { Close(); }
  std::optional<size_t> BeginList(const char* name, size_t size, const char*) override {
    Line(name) += size == 0 ? " []\n" : "\n";
    indent_ += 2;
    return {};
  }
  void BeginItem(size_t) override {
    dash_ = true;
    indent_ += 2;
    starts_.push_back(out_.size());
  }
  void EndItem() override {
    if (dash_) {
      out_ += std::string(static_cast<size_t>(indent_ - 2), ' ') + "- {}\n";
      dash_ = false;
      starts_.back() = 0;
    }
    Close();
  }
  void EndList() override { indent_ -= 2; }

 private:
  std::string& Line(const char* name) {
    std::string indent(static_cast<size_t>(indent_), ' ');
    if (dash_) indent[indent.size() - 2] = '-';
    dash_ = false;
    return out_ += indent + Print(std::string(name)) + ":";
  }
  void Close() {
    // A struct without fields would read back as nothing.
    if (starts_.back() == out_.size() && !out_.empty()) out_.insert(out_.size() - 1, " {}");
    starts_.pop_back();
    indent_ -= 2;
  }

  std::string out_;
  int indent_ = 0;
  bool dash_ = false;
  std::vector<size_t> starts_;
};

// ---- parsing ----

std::string KindName(const ConfigNode& node) {
  switch (node.kind) {
    case ConfigNode::Kind::kNull:
      return "nothing";
    case ConfigNode::Kind::kScalar:
      return fmt::format("'{}{}'", CutText(node.text, 60), node.text.size() > 60 ? "..." : "");
    case ConfigNode::Kind::kList:
      return "a list";
    case ConfigNode::Kind::kMap:
      return "a section";
  }
  return "";
}

// Each returns what is wrong, or "".
template <class T>
std::string ReadScalar(const ConfigNode& node, T* out) {
  const std::string expected = "expected " + TypeName<T>() + ", not " + KindName(node);
  if (node.kind != ConfigNode::Kind::kScalar) return expected;
  const char* begin = node.text.data();
  const char* end = begin + node.text.size();
  if constexpr (std::is_same_v<T, std::string>) {
    *out = node.text;
    return "";
  } else if (node.quoted) {
    return expected + " in quotes";
  } else if constexpr (std::is_same_v<T, bool>) {
    if (node.text != "true" && node.text != "false") return expected + " (true or false)";
    *out = node.text == "true";
    return "";
  } else {
    if (*begin == '+') ++begin;
    const auto [stop, error] = std::from_chars(begin, end, *out);
    if (error == std::errc::result_out_of_range) return "too large or small: " + KindName(node);
    if (error != std::errc() || begin == end) return expected;
    if (stop != end) {
      if (!std::is_floating_point_v<T> || *stop != '/') return expected;
      // A fraction, as in 1/3.
      T divisor{};
      const auto [rest, wrong] = std::from_chars(stop + 1, end, divisor);
      if (wrong != std::errc() || rest != end || stop + 1 == end || divisor == T{}) return expected;
      *out /= divisor;
    }
    if constexpr (std::is_floating_point_v<T>) {
      if (!std::isfinite(*out)) return "expected a finite number, not " + KindName(node);
    }
    return "";
  }
}

template <class T>
std::string Check(const T& value, const Constraint& constraint) {
  if constexpr (std::is_same_v<T, std::string>) {
    const OneOf* one_of = std::get_if<OneOf>(&constraint);
    if (one_of == nullptr) return "";
    const auto& names = one_of->names;
    if (std::find(names.begin(), names.end(), value) != names.end()) return "";
    return fmt::format("'{}' is not one of [{}]{}", value, Join(names, ", "),
                       DidYouMean(value, names));
  } else if constexpr (!std::is_same_v<T, bool>) {
    const Range* range = std::get_if<Range>(&constraint);
    if (range == nullptr) return "";
    const auto number = static_cast<double>(value);
    if (number >= range->low && number <= range->high) return "";
    return fmt::format("{} is out of range [{}, {}]", value, range->low, range->high);
  }
  return "";
}

class Parser : public FieldVisitor {
 public:
  explicit Parser(const ConfigNode& root) { Push(&root, "", ""); }

  Status Finish() {
    Pop();
    if (errors_.empty()) return {};
    const size_t more = errors_.size() - std::min(errors_.size(), kMaxErrors);
    errors_.resize(errors_.size() - more);
    if (more > 0) errors_.push_back(fmt::format("... and {} more errors", more));
    return BadInput(Join(errors_, "\n"));
  }

 protected:
  void Leaf(const char* name, FieldRef field, const Constraint& constraint, const char*) override {
    const ConfigNode* node = Member(name);
    if (node == nullptr) return;
    const auto read = [&](auto* out) {
      using T = std::remove_pointer_t<decltype(out)>;
      if constexpr (kIsVector<T>) {
        if (node->kind != ConfigNode::Kind::kList) {
          return Error(*node, name, "expected " + TypeName<T>() + ", not " + KindName(*node));
        }
        T list;
        for (const ConfigNode& item : node->items) {
          typename T::value_type value{};
          std::string wrong = ReadScalar(item, &value);
          if (wrong.empty()) wrong = Check(value, constraint);
          if (!wrong.empty()) return Error(item, name, wrong);
          list.push_back(std::move(value));
        }
        *out = std::move(list);
      } else {
        T value{};
        std::string wrong = ReadScalar(*node, &value);
        if (wrong.empty()) wrong = Check(value, constraint);
        if (!wrong.empty()) return Error(*node, name, wrong);
        *out = std::move(value);
      }
    };
    std::visit(read, field);
  }

  void BeginStruct(const char* name, const char*) override { Push(Member(name), Path(), name); }
  void EndStruct() override { Pop(); }

  std::optional<size_t> BeginList(const char* name, size_t, const char*) override {
    const ConfigNode* node = Member(name);
    if (node != nullptr && node->kind != ConfigNode::Kind::kList) {
      Error(*node, name, "expected a list, not " + KindName(*node));
      node = nullptr;
    }
    lists_.push_back({node, JoinPath(Path(), name)});
    return node == nullptr ? std::nullopt : std::optional(node->items.size());
  }
  void BeginItem(size_t index) override {
    const auto& [node, path] = lists_.back();
    const ConfigNode* item = node == nullptr ? nullptr : &node->items[index];
    const ConfigNode* name = item == nullptr ? nullptr : item->Find("name");
    const bool named = name != nullptr && name->kind == ConfigNode::Kind::kScalar;
    Push(item, path, named ? name->text : std::to_string(index));
  }
  void EndItem() override { Pop(); }
  void EndList() override { lists_.pop_back(); }

 private:
  struct Section {
    const ConfigNode* node;  // null: not written in the file, or wrong and already reported
    std::string path;
    std::vector<std::string> names;
  };

  static std::string JoinPath(const std::string& path, const std::string& name) {
    return path.empty() ? name : path + "." + name;
  }
  const std::string& Path() const { return sections_.back().path; }

  void Push(const ConfigNode* node, const std::string& path, const std::string& name) {
    const std::string full = JoinPath(path, name);
    if (node != nullptr && node->kind != ConfigNode::Kind::kMap) {
      errors_.push_back(fmt::format("{}: {} must be a section of keys, not {}", node->where,
                                    full.empty() ? "the file" : "'" + full + "'", KindName(*node)));
      node = nullptr;
    }
    sections_.push_back({node, full, {}});
  }

  // All names of the section are known only now.
  void Pop() {
    const Section section = std::move(sections_.back());
    sections_.pop_back();
    if (section.node == nullptr) return;
    for (const auto& [key, value] : section.node->members) {
      const auto& names = section.names;
      if (std::find(names.begin(), names.end(), key) != names.end()) continue;
      errors_.push_back(
          fmt::format("{}: unknown key '{}' {}{}", value.where, key,
                      section.path.empty() ? "at the top level" : "in '" + section.path + "'",
                      DidYouMean(key, names)));
    }
  }

  const ConfigNode* Member(const char* name) {
    sections_.back().names.emplace_back(name);
    const ConfigNode* node = sections_.back().node;
    return node == nullptr ? nullptr : node->Find(name);
  }

  void Error(const ConfigNode& node, const char* name, const std::string& what) {
    errors_.push_back(fmt::format("{}: '{}': {}", node.where, JoinPath(Path(), name), what));
  }

  std::vector<Section> sections_;
  std::vector<std::pair<const ConfigNode*, std::string>> lists_;
  std::vector<std::string> errors_;
};

// ---- describing ----

class Describer : public FieldVisitor {
 public:
  std::vector<FieldInfo> Take() { return std::move(fields_); }

 protected:
  void Leaf(const char* name, FieldRef field, const Constraint& constraint,
            const char* help) override {
    FieldInfo info{prefix_.back() + name,
                   TypeName(field),
                   std::visit([](auto* p) { return Print(*p); }, field),
                   {},
                   {},
                   help};
    if (const auto* one_of = std::get_if<OneOf>(&constraint)) info.names = one_of->names;
    if (const auto* range = std::get_if<Range>(&constraint)) info.range = *range;
    fields_.push_back(std::move(info));
  }
  void BeginStruct(const char* name, const char*) override {
    prefix_.push_back(prefix_.back() + name + ".");
  }
  void EndStruct() override { prefix_.pop_back(); }
  std::optional<size_t> BeginList(const char* name, size_t, const char*) override {
    prefix_.push_back(prefix_.back() + name + "[].");
    return 1;
  }
  void BeginItem(size_t) override {}
  void EndItem() override {}
  void EndList() override { prefix_.pop_back(); }

 private:
  std::vector<std::string> prefix_ = {""};
  std::vector<FieldInfo> fields_;
};

}  // namespace

Status ParseFields(const ConfigNode& node, const FieldWalk& walk) {
  Parser parser(node);
  walk(parser);
  return parser.Finish();
}

std::string PrintFields(const FieldWalk& walk) {
  Printer printer;
  walk(printer);
  return printer.Take();
}

std::vector<FieldInfo> DescribeWalk(const FieldWalk& walk) {
  Describer describer;
  walk(describer);
  return describer.Take();
}

}  // namespace kvla

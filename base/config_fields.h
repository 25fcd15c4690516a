// SPDX-License-Identifier: Apache-2.0
// One field list per config struct; from it come parsing, printing, overrides, help texts and the
// viewer's controls.
//
//   struct CacheConfig {
//     std::string policy = "full";
//     int window_blocks = 16;
//     template <class V>
//     void Fields(V& v) {
//       v("policy", policy, OneOf{"full", "window"}, "what happens to old tokens");
//       v("window_blocks", window_blocks, Range{0, 4096}, "newest frame blocks, always whole");
//     }
//   };
//
// Field types: bool, int, int64_t, uint64_t, double, std::string, std::vector of bool, int, double
// or std::string, a struct with Fields, std::vector of such structs. Defaults are the member's own.
#ifndef KVLA_BASE_CONFIG_FIELDS_H_
#define KVLA_BASE_CONFIG_FIELDS_H_

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace kvla {

// The value (or each item of the list) is one of these names.
struct OneOf {
  std::vector<std::string> names;
  OneOf(std::initializer_list<const char*> list) : names(list.begin(), list.end()) {}
  explicit OneOf(std::vector<std::string> list) : names(std::move(list)) {}
};

// The number (or each item of the list) is within [low, high].
struct Range {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
};

using Constraint = std::variant<std::monostate, OneOf, Range>;

// A pointer to a leaf field's storage.
using FieldRef =
    std::variant<bool*, int*, int64_t*, uint64_t*, double*, std::string*, std::vector<bool>*,
                 std::vector<int>*, std::vector<double>*, std::vector<std::string>*>;

template <class T>
inline constexpr bool kIsStructList = false;
template <class T>
inline constexpr bool kIsStructList<std::vector<T>> =
    std::is_class_v<T> && !std::is_same_v<T, std::string>;

// What walks over a struct's fields. A new use of the field list derives from it.
class FieldVisitor {
 public:
  virtual ~FieldVisitor() = default;

  template <class T, class C>
  void operator()(const char* name, T& field, C constraint, const char* help) {
    Leaf(name, FieldRef(&field), Constraint(std::move(constraint)), help);
  }

  template <class T>
  void operator()(const char* name, T& field, const char* help) {
    if constexpr (kIsStructList<T>) {
      if (const std::optional<size_t> count = BeginList(name, field.size(), help)) {
        field.assign(*count, typename T::value_type());
      }
      for (size_t i = 0; i < field.size(); ++i) {
        BeginItem(i);
        field[i].Fields(*this);
        EndItem();
      }
      EndList();
    } else if constexpr (std::is_constructible_v<FieldRef, T*>) {
      Leaf(name, FieldRef(&field), Constraint(), help);
    } else {
      BeginStruct(name, help);
      field.Fields(*this);
      EndStruct();
    }
  }

 protected:
  virtual void Leaf(const char* name, FieldRef field, const Constraint& constraint,
                    const char* help) = 0;
  virtual void BeginStruct(const char* name, const char* help) = 0;
  virtual void EndStruct() = 0;
  // A number: the list is replaced by that many default items. None: it stays as it is.
  virtual std::optional<size_t> BeginList(const char* name, size_t size, const char* help) = 0;
  virtual void BeginItem(size_t index) = 0;
  virtual void EndItem() = 0;
  virtual void EndList() = 0;
};

// One leaf field, described for help texts and controls.
struct FieldInfo {
  std::string path;                // "arms[].cache.window_blocks"
  std::string type;                // "bool", "int", "number", "text", "list of int", ...
  std::string default_value;       // as YAML
  std::vector<std::string> names;  // of OneOf
  std::optional<Range> range;
  std::string help;
};

}  // namespace kvla

#endif  // KVLA_BASE_CONFIG_FIELDS_H_

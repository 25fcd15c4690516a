// SPDX-License-Identifier: Apache-2.0
#include "apps/suite_flags.h"

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <variant>

namespace kvla {
namespace {

// Makes a flag of a field that is switched on, an option of one that is one of several names.
class FlagMaker : public FieldVisitor {
 public:
  explicit FlagMaker(CLI::App& command) : command_(command) {}

 protected:
  void Leaf(const char* name, FieldRef field, const Constraint& constraint,
            const char* help) override {
    const std::string flag = std::string("--") + name;
    if (bool* const* on = std::get_if<bool*>(&field)) command_.add_flag(flag, **on, help);
    if (std::string* const* text = std::get_if<std::string*>(&field)) {
      command_.add_option(flag, **text, help)
          ->check(CLI::IsMember(std::get<OneOf>(constraint).names))
          ->capture_default_str();
    }
  }
  // The options have neither.
  void BeginStruct(const char*, const char*) override {}
  void EndStruct() override {}
  std::optional<size_t> BeginList(const char*, size_t, const char*) override {
    return std::nullopt;
  }
  void BeginItem(size_t) override {}
  void EndItem() override {}
  void EndList() override {}

 private:
  CLI::App& command_;
};

}  // namespace

void AddSuiteFlags(CLI::App& command, TaskOptions* options) {
  FlagMaker maker(command);
  options->Fields(maker);
}

}  // namespace kvla

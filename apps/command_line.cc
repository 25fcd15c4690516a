// SPDX-License-Identifier: Apache-2.0
#include "apps/command_line.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "base/numbers.h"
#include "base/text.h"

namespace kvla {
namespace {

template <class T>
std::string Rewrite(const Result<T>& number, std::string* text) {
  if (!number.ok()) return number.status().message();
  *text = fmt::format("{}", *number);
  return "";
}

// The parser's own conversion takes 010 for octal, -1 for a huge unsigned number, and reads 0x10,
// inf and leading blanks: it gets to see what base/numbers.h made of the text.
std::string ToDecimal(const std::string& type, std::string* text) {
  if (type.starts_with("UINT")) return Rewrite(ParseUnsigned(*text), text);
  if (type.starts_with("INT")) return Rewrite(ParseInteger(*text), text);
  return Rewrite(ParseNumber(*text), text);
}

bool IsNumber(const std::string& type) {
  return type.starts_with("INT") || type.starts_with("UINT") || type.starts_with("FLOAT");
}

std::string PathOf(const CLI::App& app) {
  return app.get_parent() == nullptr ? "kvla" : PathOf(*app.get_parent()) + " " + app.get_name();
}

std::vector<CLI::App*> Subcommands(CLI::App& app) {
  return app.get_subcommands([](CLI::App*) { return true; });
}

}  // namespace

void ReadNumbersAsDecimal(CLI::App& app) {
  for (CLI::Option* option : app.get_options()) {
    const std::string type = option->get_type_name();
    if (!IsNumber(type)) continue;
    CLI::Validator decimal([type](std::string& text) { return ToDecimal(type, &text); }, "");
    option->transform(decimal);
  }
  for (CLI::App* sub : Subcommands(app)) ReadNumbersAsDecimal(*sub);
}

std::vector<std::string> SubcommandNames(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (!sub->get_group().empty()) names.push_back(sub->get_name());
  }
  return names;
}

std::vector<std::string> FlagNames(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

std::string UnknownWord(const CLI::App& app) {
  for (const CLI::App* sub : app.get_subcommands()) {  // those that were called
    if (std::string unknown = UnknownWord(*sub); !unknown.empty()) return unknown;
  }
  const std::vector<std::string> words = app.remaining();
  if (words.empty()) return "";
  const std::string where = PathOf(app);
  const std::string& word = words.front();
  const std::string shown = PrintableLine(CutText(word, 60));
  if (word.starts_with("-")) {
    return fmt::format("{} has no flag '{}'{}", where, shown,
                       DidYouMean(word.substr(0, word.find('=')), FlagNames(app)));
  }
  const std::vector<std::string> subcommands = SubcommandNames(app);
  if (!subcommands.empty()) {
    return fmt::format("{} has no subcommand '{}', only {}{}", where, shown,
                       Join(subcommands, ", "), DidYouMean(word, subcommands));
  }
  return fmt::format("{}: '{}' is one argument too many", where, shown);
}

}  // namespace kvla

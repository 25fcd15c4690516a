// SPDX-License-Identifier: Apache-2.0
// What every option and subcommand has in common: numbers are decimal, an unknown word is named.
#ifndef KVLA_APPS_COMMAND_LINE_H_
#define KVLA_APPS_COMMAND_LINE_H_

#include <string>
#include <vector>

namespace CLI {
class App;
}  // namespace CLI

namespace kvla {

// Makes every option of `app` and of its subcommands that takes a number read it by
// base/numbers.h, before its own checks. Call once all are declared.
void ReadNumbersAsDecimal(CLI::App& app);

// After a failed parse: the first word that nothing was declared for, with the nearest that would
// be right. Empty: all words were known, and the parser's own message stands.
std::string UnknownWord(const CLI::App& app);

// Names of the subcommands that a person may call, in the order of the help text.
std::vector<std::string> SubcommandNames(const CLI::App& app);

// Long names, with "--", of what a person may give to `app`.
std::vector<std::string> FlagNames(const CLI::App& app);

}  // namespace kvla

#endif  // KVLA_APPS_COMMAND_LINE_H_

// SPDX-License-Identifier: Apache-2.0
// `kvla completion`: what a shell completes, written from the tree of subcommands and flags.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "apps/command_line.h"
#include "apps/commands.h"
#include "base/config_io.h"
#include "base/streams.h"
#include "base/text.h"
#include "tasks/task_list.h"

namespace kvla {
namespace {

// Words that follow a flag, where there are only so many.
struct Choice {
  std::string flags;  // as a shell pattern
  std::vector<std::string> words;
};

std::vector<Choice> Choices() {
  std::vector<Choice> choices = {{"--task|--tasks", TaskNames()},
                                 {"--delay", {"short", "medium", "long", "longer"}},
                                 {"--by", {"onset", "wait"}},
                                 {"--disturbance", {"none", "mild", "strong"}}};
  for (const FieldInfo& field : DescribeFields<TaskOptions>()) {
    if (!field.names.empty()) choices.push_back({"--" + field.path, field.names});
  }
  return choices;
}

// What may stand where no flag is expected.
std::vector<std::string> Positionals(const std::string& path) {
  if (path == "certify" || path == "card") return TaskNames();
  if (path == "list") return {"tasks", "caches", "policies"};
  if (path == "config") return ConfigKindNames();
  if (path == "completion") return {"bash", "zsh"};
  return {};
}

void AddCases(const CLI::App& app, const CLI::App& program, const std::string& path,
              std::string* cases) {
  std::vector<std::string> words = SubcommandNames(app);
  const std::vector<std::string> more =
      path == "help" ? SubcommandNames(program) : Positionals(path);
  words.insert(words.end(), more.begin(), more.end());
  *cases += fmt::format("    '{}') words='{}' flags='{}' ;;\n", path, Join(words, " "),
                        Join(FlagNames(app), " "));
  for (const std::string& name : SubcommandNames(app)) {
    AddCases(*app.get_subcommand(name), program, path.empty() ? name : path + " " + name, cases);
  }
}

// Of the subcommands that have subcommands of their own.
std::string Parents(const CLI::App& program) {
  std::vector<std::string> parents;
  for (const std::string& name : SubcommandNames(program)) {
    if (!SubcommandNames(*program.get_subcommand(name)).empty()) parents.push_back(name);
  }
  return Join(parents, "|");
}

std::string BashScript(const CLI::App& program) {
  std::string cases, values;
  AddCases(program, program, "", &cases);
  for (const Choice& choice : Choices()) {
    values += fmt::format("    {}) COMPREPLY=($(compgen -W '{}' -- \"$cur\")); return ;;\n",
                          choice.flags, Join(choice.words, " "));
  }
  return fmt::format(
      R"(# bash completion of kvla: source <(kvla completion bash)
_kvla() {{
  local cur="${{COMP_WORDS[COMP_CWORD]}}" prev="${{COMP_WORDS[COMP_CWORD-1]}}"
  local i path='' words='' flags=''
  for ((i = 1; i < COMP_CWORD; ++i)); do
    case "${{COMP_WORDS[i]}}" in
      --assets) ((++i)) ;;
      -*) ;;
      *)
        [[ -z "$path" ]] && {{ path="${{COMP_WORDS[i]}}"; continue; }}
        case "$path" in {}) path="$path ${{COMP_WORDS[i]}}" ;; esac
        break ;;
    esac
  done
  COMPREPLY=()
  case "$prev" in
{}  esac
  case "$path" in
{}  esac
  if [[ "$cur" == -* ]]; then
    COMPREPLY=($(compgen -W "$flags" -- "$cur"))
  else
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
  fi
}}
complete -o default -F _kvla kvla
)",
      Parents(program), values, cases);
}

int RunCompletion(const CLI::App& program, const std::string& shell) {
  if (shell == "zsh") {
    Print(
        "# zsh completion of kvla: source <(kvla completion zsh)\n"
        "autoload -U +X bashcompinit && bashcompinit\n");
  }
  Print("{}", BashScript(program));
  return kExitDone;
}

}  // namespace

CLI::App* AddCompletion(CLI::App& parent, const AppContext&, int* exit_code) {
  auto shell = std::make_shared<std::string>();
  CLI::App* command = parent.add_subcommand(
      "completion", "Print what completes kvla in a shell: source <(kvla completion bash)");
  command->add_option("shell", *shell, "bash or zsh")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh"}));
  command->callback([shell, &parent, exit_code] { *exit_code = RunCompletion(parent, *shell); });
  return command;
}

}  // namespace kvla

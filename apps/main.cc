#include <CLI/CLI.hpp>
#include <exception>

#include "apps/app_context.h"
#include "apps/commands.h"
#include "base/version.h"

int main(int argc, char** argv, char** envp) {
  kvla::AppContext context;
  context.asset_root = KVLA_ASSET_ROOT;
  for (char** variable = envp; *variable != nullptr; ++variable) {
    context.environment.emplace_back(*variable);
  }
  CLI::App app("kvla: key-value cache methods for vision-language-action policies, in the loop");
  app.set_version_flag("--version",
                       std::string(kvla::Version()) + " (" + std::string(kvla::GitCommit()) + ")");
  app.require_subcommand(1);
  app.add_option("--assets", context.asset_root,
                 "Folder that holds sim/models, tasks/ and configs/")
      ->check(CLI::ExistingDirectory);
  int exit_code = kvla::kExitDone;
  kvla::AddCommands(app, context, &exit_code);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? kvla::kExitDone : kvla::kExitBadInput;
  } catch (const std::exception& error) {
    return kvla::ReportStatus(kvla::InternalError(error.what()));
  }
  return exit_code;
}

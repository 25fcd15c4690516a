#include <mujoco/mujoco.h>

#include <CLI/CLI.hpp>
#include <exception>
#include <sstream>

#include "apps/app_context.h"
#include "apps/commands.h"
#include "base/streams.h"
#include "base/version.h"

namespace kvla {
namespace {

// By itself MuJoCo would write to stdout, between the lines of a table.
void SayMujocoWarning(const char* text) { Say("kvla: warning: MuJoCo: {}\n", text); }

int RunProgram(int argc, char** argv, char** envp) {
  AppContext context;
  context.asset_root = KVLA_ASSET_ROOT;
  for (char** variable = envp; *variable != nullptr; ++variable) {
    context.environment.emplace_back(*variable);
  }
  CLI::App app("kvla: key-value cache methods for vision-language-action policies, in the loop");
  app.set_version_flag("--version", std::string(Version()) + " (" + std::string(GitCommit()) + ")");
  app.require_subcommand(1);
  app.add_option("--assets", context.asset_root,
                 "Folder that holds sim/models, tasks/ and configs/")
      ->check(CLI::ExistingDirectory);
  int exit_code = kExitDone;
  AddCommands(app, context, &exit_code);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::ostringstream out, err;
    const int code = app.exit(error, out, err);
    PrintText(out.str());
    SayText(err.str());
    return code == 0 ? kExitDone : kExitBadInput;
  } catch (const std::exception& error) {
    return ReportStatus(InternalError(error.what()));
  }
  return exit_code;
}

}  // namespace
}  // namespace kvla

int main(int argc, char** argv, char** envp) {
  kvla::ReserveStreams();
  mju_user_warning = kvla::SayMujocoWarning;
  const int exit_code = kvla::RunProgram(argc, argv, envp);
  kvla::FlushStdout();
  // A script that keeps what was printed has to notice that some of it is missing.
  return kvla::StdoutIsWhole() || exit_code == kvla::kExitInterrupted ? exit_code
                                                                      : kvla::kExitBadInput;
}

// SPDX-License-Identifier: Apache-2.0
#include <mujoco/mujoco.h>

#include <CLI/CLI.hpp>
#include <exception>
#include <new>
#include <sstream>

#include "apps/app_context.h"
#include "apps/command_line.h"
#include "apps/commands.h"
#include "base/files.h"
#include "base/streams.h"
#include "base/version.h"

namespace kvla {
namespace {

// By itself MuJoCo would write to stdout, between the lines of a table.
void SayMujocoWarning(const char* text) { Say("kvla: warning: MuJoCo: {}\n", text); }

// An installed program lies in bin/ and finds what it needs in share/kvla beside it, wherever the
// two were moved to; one that was built and not installed, in the source tree.
void FindAssets(AppContext* context) {
  const auto program = CanonicalPath("/proc/self/exe");
  const auto share = program.parent_path().parent_path() / "share" / "kvla";
  const bool installed = IsFolder(share);
  context->asset_root = installed ? share : std::filesystem::path(KVLA_ASSET_ROOT);
  context->plotly = installed ? share / "plotly.min.js" : std::filesystem::path(KVLA_PLOTLY_JS);
}

int Parse(CLI::App& app, int argc, char** argv, const int& exit_code) {
  try {
    app.parse(argc, argv);
    return exit_code;
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() != 0) {
      if (const std::string unknown = UnknownWord(app); !unknown.empty()) {
        return ReportStatus(BadInput(unknown));
      }
    }
    std::ostringstream out, err;
    const int code = app.exit(error, out, err);
    PrintText(out.str());
    SayText(err.str());
    return code == 0 ? kExitDone : kExitBadInput;
  } catch (const std::filesystem::filesystem_error& error) {
    return ReportStatus(IoError(error.what()));
  } catch (const std::bad_alloc&) {
    return ReportStatus(IoError("out of memory"));
  } catch (const std::exception& error) {
    return ReportStatus(InternalError(error.what()));
  }
}

int RunProgram(int argc, char** argv, char** envp) {
  AppContext context;
  FindAssets(&context);
  for (char** variable = envp; *variable != nullptr; ++variable) {
    context.environment.emplace_back(*variable);
  }
  CLI::App app("kvla: key-value cache methods for vision-language-action policies, in the loop");
  app.set_version_flag("-V,--version",
                       std::string(Version()) + " (" + std::string(GitCommit()) + ")");
  app.require_subcommand(1);
  app.add_option("--assets", context.asset_root,
                 "Folder that holds sim/models, tasks/ and configs/")
      ->check(CLI::ExistingDirectory);
  int exit_code = kExitDone;
  AddCommands(app, context, &exit_code);
  ReadNumbersAsDecimal(app);
  return Parse(app, argc, argv, exit_code);
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

#include <CLI/CLI.hpp>
#include <exception>
#include <new>

#include "apps/app_context.h"
#include "apps/command_line.h"
#include "apps/commands.h"
#include "base/files.h"
#include "base/version.h"

namespace {

// An installed program lies in bin/ and finds what it needs in share/kvla beside it, wherever the
// two were moved to; one that was built and not installed, in the source tree.
void FindAssets(kvla::AppContext* context) {
  const auto program = kvla::CanonicalPath("/proc/self/exe");
  const auto share = program.parent_path().parent_path() / "share" / "kvla";
  const bool installed = kvla::IsFolder(share);
  context->asset_root = installed ? share : std::filesystem::path(KVLA_ASSET_ROOT);
  context->plotly = installed ? share / "plotly.min.js" : std::filesystem::path(KVLA_PLOTLY_JS);
}

int Run(CLI::App& app, int argc, char** argv, const int& exit_code) {
  try {
    app.parse(argc, argv);
    return exit_code;
  } catch (const CLI::Success& help_or_version) {
    return app.exit(help_or_version);
  } catch (const CLI::ParseError& error) {
    if (const std::string unknown = kvla::UnknownWord(app); !unknown.empty()) {
      return kvla::ReportStatus(kvla::BadInput(unknown));
    }
    app.exit(error);
    return kvla::kExitBadInput;
  } catch (const std::filesystem::filesystem_error& error) {
    return kvla::ReportStatus(kvla::IoError(error.what()));
  } catch (const std::bad_alloc&) {
    return kvla::ReportStatus(kvla::IoError("out of memory"));
  } catch (const std::exception& error) {
    return kvla::ReportStatus(kvla::InternalError(error.what()));
  }
}

}  // namespace

int main(int argc, char** argv, char** envp) {
  kvla::AppContext context;
  FindAssets(&context);
  for (char** variable = envp; *variable != nullptr; ++variable) {
    context.environment.emplace_back(*variable);
  }
  CLI::App app("kvla: key-value cache methods for vision-language-action policies, in the loop");
  app.set_version_flag("-V,--version",
                       std::string(kvla::Version()) + " (" + std::string(kvla::GitCommit()) + ")");
  app.require_subcommand(1);
  app.add_option("--assets", context.asset_root,
                 "Folder that holds sim/models, tasks/ and configs/")
      ->check(CLI::ExistingDirectory);
  int exit_code = kvla::kExitDone;
  kvla::AddCommands(app, context, &exit_code);
  kvla::ReadNumbersAsDecimal(app);
  return Run(app, argc, argv, exit_code);
}

// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>

#include "apps/commands.h"
#include "apps/view_flags.h"
#include "base/files.h"
#include "base/text.h"
#include "viewer/panels/panels.h"

namespace kvla {
namespace {

int RunView(const AppContext& context, const ViewFlags& flags) {
  if (flags.arms.size() > 2) {
    return ReportStatus(BadInput("--arms: two arms stand side by side, not more"));
  }
  const std::vector<std::string> panels(std::begin(kPanelWindows), std::end(kPanelWindows));
  for (const std::string& name : {flags.panel, flags.front}) {
    if (name.empty() || std::find(panels.begin(), panels.end(), name) != panels.end()) continue;
    return ReportStatus(BadInput(fmt::format("no panel is called '{}', only {}{}", name,
                                             Join(panels, ", "), DidYouMean(name, panels))));
  }
  const bool run = IsFolder(flags.what);
  return ReportStatus(run ? ViewReplay(context, flags) : ViewLive(context, flags));
}

void AddPictureFlags(CLI::App* command, ViewFlags* flags) {
  CLI::Option* screenshot =
      command->add_option("--screenshot", flags->screenshot, "Write this PNG file and exit");
  CLI::Option* after =
      command->add_option("--after", flags->after_s, "Take it so many seconds into the episode");
  after->check(CLI::Range(0.0, 100000.0))->needs(screenshot);
  command->add_option("--frames", flags->frames, "Take it after so many frames of the window")
      ->check(CLI::Range(1, 1000000))
      ->needs(screenshot)
      ->excludes(after);
  CLI::Option* panel =
      command->add_option("--panel", flags->panel, "Only this panel, by its title");
  panel->needs(screenshot);
  command->add_option("--front", flags->front, "With this panel's tab in front")
      ->needs(screenshot)
      ->excludes(panel);
  CLI::Option* measure = command->add_option(
      "--measure", flags->measure_s,
      "Play in a loop for so many seconds, say how fast it was drawn, and exit");
  measure->check(CLI::Range(0.1, 100000.0))->excludes(screenshot);
  command
      ->add_option("--block", flags->block_s,
                   "Leave the window alone for so many seconds in the middle, as a drag may do")
      ->check(CLI::Range(0.1, 100000.0))
      ->needs(measure);
}

void AddWindowFlags(CLI::App* command, ViewFlags* flags) {
  command->add_option("--export", flags->export_folder, "Folder for exported files")
      ->check(CLI::ExistingDirectory)
      ->capture_default_str();
  command->add_option("--width", flags->width, "Of the window, pixels")
      ->check(CLI::Range(640, 7680))
      ->capture_default_str();
  command->add_option("--height", flags->height, "Of the window, pixels")
      ->check(CLI::Range(400, 4320))
      ->capture_default_str();
  command->add_option("--scale", flags->scale, "Of texts and controls; else the monitor's")
      ->check(CLI::Range(0.5, 4.0));
  command->add_flag("--light", flags->light, "Light theme");
}

}  // namespace

CLI::App* AddView(CLI::App& parent, const AppContext& context, int* exit_code) {
  auto flags = std::make_shared<ViewFlags>();
  CLI::App* command =
      parent.add_subcommand("view", "Watch an episode and its cache, live or from a run");
  command
      ->add_option("what", flags->what,
                   "Folder of a run (replay), or YAML file of a run as for eval (live)")
      ->required();
  command->add_option("--task", flags->task, "Task; else the first");
  command->add_option("--delay", flags->delay, "Delay; else the first");
  CLI::Option* arm = command->add_option(
      "--arm", flags->arm, "Arm; live: else the gated one; replay: else one that failed");
  command->add_option("--arms", flags->arms, "Two arms side by side on one playhead: a,b")
      ->delimiter(',')
      ->excludes(arm);
  command
      ->add_option("--episode,--seed", flags->seed,
                   "Seed of the episode; else the first (replay: the first that failed)")
      ->check(CLI::Range(0, 1000000000));
  command->add_flag("--follow", flags->follow, "A run in progress: show what ended last");
  command->add_flag("--loop", flags->loop, "Replay in a loop");
  command->add_option("--out", flags->out, "Keep the episodes as a new run in this folder (live)");
  command->add_option("--set", flags->overrides, "Override: key.sub=value (live, repeatable)")
      ->allow_extra_args(false);
  command
      ->add_option("--speed", flags->speed,
                   "Times real time, 0: as fast as it goes; else 1, live with --screenshot 0")
      ->check(CLI::Range(0.0, 1000.0));
  AddPictureFlags(command, flags.get());
  AddWindowFlags(command, flags.get());
  command->callback([flags, &context, exit_code] { *exit_code = RunView(context, *flags); });
  return command;
}

}  // namespace kvla

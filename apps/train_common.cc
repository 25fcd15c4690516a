// SPDX-License-Identifier: Apache-2.0
#include "apps/train_common.h"

#include <malloc.h>

#include <CLI/CLI.hpp>
#include <utility>

#include "base/streams.h"

namespace kvla {

void TrainDisplay::Show(const TrainProgress& p) {
  if (bar_ == nullptr || phase_ != p.phase) {
    Finish();
    phase_ = p.phase;
    // A resumed one is under way.
    bar_ = std::make_unique<ProgressBar>(style_, phase_, p.steps, p.step);
  }
  if (!p.note.empty()) {
    bar_->Clear();
    Print("step {}: {}\n", p.step, p.note);
    FlushStdout();
  }
  bar_->Update(p.step, fmt::format("(loss {:.4f}, {:.2f} s a step)", p.loss, p.seconds_per_step));
}

void TrainDisplay::Finish() {
  if (bar_ != nullptr) bar_->Finish();
}

void KeepMemory() {
  constexpr int kOneGigabyte = 1 << 30;
  mallopt(M_MMAP_THRESHOLD, kOneGigabyte);
  mallopt(M_TRIM_THRESHOLD, kOneGigabyte);
  mallopt(M_TOP_PAD, kOneGigabyte / 8);
}

DemoFilter FilterFor(const PolicyConfig& policy) {
  return {.tasks = {},
          .cameras = policy.cameras,
          .image_size = policy.image_size,
          .replan_steps = policy.replan_steps};
}

Result<DemoFilter> FilterFor(const std::filesystem::path& checkpoint) {
  PolicyConfig policy;
  if (Status s = LoadConfigFile(checkpoint / "config.yaml", {}, &policy); !s.ok()) return s;
  return FilterFor(policy);
}

CLI::App* AddTrainer(CLI::App& parent, const char* name, const char* help, int* exit_code,
                     std::function<int(const TrainFlags&)> run) {
  auto flags = std::make_shared<TrainFlags>();
  CLI::App* command = parent.add_subcommand(name, help);
  command->add_option("config", flags->config, "YAML file")->required();
  command->add_option("--set", flags->overrides, "Override: key.sub=value (repeatable)")
      ->allow_extra_args(false);
  command->add_flag("--dry-run", flags->dry_run, "Check, print the config, train nothing");
  command->callback([flags, exit_code, run = std::move(run)] { *exit_code = run(*flags); });
  return command;
}

}  // namespace kvla

// SPDX-License-Identifier: Apache-2.0
// What the trainers share: flags, reading demonstrations.
#ifndef KVLA_APPS_TRAIN_COMMON_H_
#define KVLA_APPS_TRAIN_COMMON_H_

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "apps/commands.h"
#include "base/config_io.h"
#include "base/files.h"
#include "base/streams.h"
#include "harness/demos/demo_reader.h"
#include "harness/train/train_display.h"
#include "policy/compact/gate/gate_train_setup.h"
#include "policy/compact/text/text_encoder_files.h"
#include "policy/compact/training/train.h"

namespace kvla {

struct TrainFlags {
  std::string config;
  std::vector<std::string> overrides;
  bool dry_run = false;
};

// Keeps LibTorch's large buffers in the process: giving each back to the kernel and taking it again
// nearly doubles a training step.
void KeepMemory();

// What a gate's config wants of demonstrations: its policy's, of its task alone where it names one.
Result<DemoFilter> FilterForGate(const GateTrainSetup& config);

// Declares a trainer's subcommand with the flags of TrainFlags.
CLI::App* AddTrainer(CLI::App& parent, const char* name, const char* help, int* exit_code,
                     std::function<int(const TrainFlags&)> run);

// One trainer: what it reads, where it writes, what it calls.
template <class Config>
struct Trainer {
  std::function<Result<DemoFilter>(const Config&)> filter;
  std::function<std::filesystem::path(const Config&)> folder;  // that must be writable
  Status (*train)(const Config&, DemoSource&, DemoSource&, const TrainHooks&);
};

// Checks everything before anything is written, then trains. Returns the exit status.
template <class Config>
int RunTrainer(const AppContext& context, const TrainFlags& flags, const Trainer<Config>& trainer) {
  Config config;
  if (Status s = LoadConfigFile(flags.config, flags.overrides, &config); !s.ok()) {
    return ReportStatus(s);
  }
  const Result<DemoFilter> filter = trainer.filter(config);
  if (!filter.ok()) return ReportStatus(filter.status());
  const Result<std::unique_ptr<DemoReader>> demos = DemoReader::Open(config.demos, *filter);
  if (!demos.ok()) return ReportStatus(demos.status());
  const Result<std::unique_ptr<DemoReader>> held_out = DemoReader::Open(config.validation, *filter);
  if (!held_out.ok()) return ReportStatus(held_out.status());
  if (config.out.empty()) return ReportStatus(BadInput("'out' is empty: where to?"));
  if (Status s = CheckFolderWritable(trainer.folder(config)); !s.ok()) return ReportStatus(s);
  Say("{} training and {} validation demonstrations\n", (*demos)->size(), (*held_out)->size());
  if (flags.dry_run) {
    Print("{}", PrintConfig(config));
    return kExitDone;
  }
  KeepMemory();
  TrainDisplay display(StyleOfProgress(context));
  TrainHooks hooks;
  hooks.on_progress = [&display](const TrainProgress& p) { display.Show(p); };
  hooks.on_note = [](const std::string& note) { Say("kvla: {}\n", note); };
  hooks.stop = CatchInterrupts();
  hooks.text_encoder = TextEncoderFolder(context.asset_root);
  const Status status = trainer.train(config, **demos, **held_out, hooks);
  display.Finish();
  return ReportStatus(status);
}

// The subcommand of a trainer that writes one file, config.out, for the policy config.checkpoint.
template <class Config>
CLI::App* AddGateTrainer(CLI::App& parent, const AppContext& context, const char* name,
                         const char* help, int* exit_code, decltype(Trainer<Config>::train) train) {
  return AddTrainer(parent, name, help, exit_code, [&context, train](const TrainFlags& flags) {
    Trainer<Config> trainer;
    trainer.filter = &FilterForGate;
    trainer.folder = [](const Config& c) { return AbsolutePath(c.out).parent_path(); };
    trainer.train = train;
    return RunTrainer(context, flags, trainer);
  });
}

}  // namespace kvla

#endif  // KVLA_APPS_TRAIN_COMMON_H_

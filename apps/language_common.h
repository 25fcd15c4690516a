// SPDX-License-Identifier: Apache-2.0
// What the commands that run a language model share.
#ifndef KVLA_APPS_LANGUAGE_COMMON_H_
#define KVLA_APPS_LANGUAGE_COMMON_H_

#include <atomic>
#include <string>
#include <vector>

#include "apps/commands.h"
#include "base/config_io.h"
#include "base/streams.h"
#include "harness/eval/run_config.h"
#include "harness/language/language_study.h"
#include "harness/workers/progress.h"

namespace kvla {

// A study's config, checked, its files looked for from here and from the repository's root.
template <class Config>
Status LoadLanguageStudy(const AppContext& context, const std::string& path,
                         const std::vector<std::string>& overrides, Status (*check)(const Config&),
                         Config* config) {
  if (Status s = LoadConfigFile(path, overrides, config); !s.ok()) return s;
  if (Status s = check(*config); !s.ok()) return s.In(path);
  std::vector<std::string*> files = {&config->model, &config->text};
  for (NamedCache& arm : config->arms) {
    if (!arm.cache.gate.empty()) files.push_back(&arm.cache.gate);
  }
  for (std::string* file : files) *file = ResolvePath(*file, context.asset_root).string();
  return {};
}

// `run` with a progress bar over `total` steps; stops after Ctrl-C.
template <class Run>
auto RunLanguageStudy(const AppContext& context, const char* label, double total, const Run& run) {
  const std::atomic<bool>* stop = CatchInterrupts();
  ProgressBar bar(StyleOfProgress(context), label, total);
  auto result = run([&](int done, const std::string& arm) {
    bar.Update(done, arm);
    return !stop->load();
  });
  bar.Clear();
  return result;
}

}  // namespace kvla

#endif  // KVLA_APPS_LANGUAGE_COMMON_H_

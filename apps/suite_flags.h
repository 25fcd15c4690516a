// SPDX-License-Identifier: Apache-2.0
// --cues, --decoys, --layout: the options of the suite as flags, for commands without a config.
#ifndef KVLA_APPS_SUITE_FLAGS_H_
#define KVLA_APPS_SUITE_FLAGS_H_

#include "tasks/task_options.h"

namespace CLI {
class App;
}  // namespace CLI

namespace kvla {

// One flag a field of TaskOptions, with its help and its values. `options` outlives the command.
void AddSuiteFlags(CLI::App& command, TaskOptions* options);

}  // namespace kvla

#endif  // KVLA_APPS_SUITE_FLAGS_H_

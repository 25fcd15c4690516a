// SPDX-License-Identifier: Apache-2.0
// The tasks there are: one explicit list.
#ifndef KVLA_TASKS_TASK_LIST_H_
#define KVLA_TASKS_TASK_LIST_H_

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "tasks/task.h"

namespace kvla {

std::vector<std::string> TaskNames();

// `asset_root`: the folder that holds sim/ and tasks/. BadInput names the nearest known task.
Result<std::unique_ptr<Task>> MakeTask(const std::string& name,
                                       const std::filesystem::path& asset_root,
                                       const TaskOptions& options = {});

}  // namespace kvla

#endif  // KVLA_TASKS_TASK_LIST_H_

// SPDX-License-Identifier: Apache-2.0
// The worker's side of `kvla demos`.
#ifndef KVLA_HARNESS_DEMOS_DEMO_WORKER_H_
#define KVLA_HARNESS_DEMOS_DEMO_WORKER_H_

#include <filesystem>

#include "base/status.h"
#include "harness/demos/demo_config.h"
#include "harness/workers/worker.h"

namespace kvla {

Message DemosSetup(const DemosConfig& config, const std::filesystem::path& asset_root);
Result<WorkerTask> PrepareDemoWorker(const Message& setup);

}  // namespace kvla

#endif  // KVLA_HARNESS_DEMOS_DEMO_WORKER_H_

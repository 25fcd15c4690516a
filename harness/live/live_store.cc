// SPDX-License-Identifier: Apache-2.0
#include "harness/live/live_store.h"

#include <utility>

#include "base/config_io.h"
#include "results/report/no_success.h"

namespace kvla {

Result<std::unique_ptr<LiveStore>> LiveStore::Create(const std::filesystem::path& folder,
                                                     const RunConfig& config) {
  RunMeta meta = {{"config", PrintConfig(config)}, {"config_hash", ConfigHash(config)}};
  if (config.backbone.weights == kRandomWeights) meta[kWeightsKey] = kRandomWeights;
  Result<RunStore> store = RunStore::Create(folder, meta);
  if (!store.ok()) return store.status();
  return std::unique_ptr<LiveStore>(new LiveStore(*std::move(store)));
}

Status LiveStore::Write(const EpisodeRecord& record) {
  if (record.end.outcome == "error") return {};
  const std::lock_guard<std::mutex> lock(mutex_);
  const Result<std::set<EpisodeId>> done = store_.Done();
  if (!done.ok()) return done.status();
  if (done->count(record.end.id) != 0) return {};
  return store_.WriteEpisode(record, TraceLevel::kFull);
}

}  // namespace kvla

// SPDX-License-Identifier: Apache-2.0
#include "harness/eval/merge.h"

#include <fmt/format.h>

#include <cstdlib>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "base/config_io.h"
#include "base/files.h"
#include "base/text.h"
#include "harness/eval/run_config.h"
#include "results/store/run_store.h"
#include "results/video/video_rule.h"

namespace kvla {
namespace {

namespace fs = std::filesystem;

// What all parts share, see RunIdentity().
constexpr const char* kShared[] = {"config", "config_hash", "checkpoint_hash", "version",
                                   "commit", "assets_hash", "recorded_hash"};

// What may differ between them, and is listed.
constexpr const char* kListed[] = {"cpu",     "cpu_kernels", "gl_renderer", "device",
                                   "workers", "batch",       "pinned"};

// One part, open for reading.
struct Part {
  fs::path folder;
  RunStore store;
  RunMeta meta;
  std::vector<EpisodeRow> rows;
};

Result<Part> OpenPart(const fs::path& folder) {
  Result<RunStore> store = RunStore::Open(folder, RunStore::Mode::kReadOnly);
  if (!store.ok()) return store.status();
  Result<RunMeta> meta = store->Meta();
  if (!meta.ok()) return meta.status();
  Result<std::vector<EpisodeRow>> rows = store->Episodes();
  if (!rows.ok()) return rows.status();
  return Part{folder, std::move(*store), *std::move(meta), *std::move(rows)};
}

// The arms whose outcome depends on how fast the machine was.
std::set<std::string> WallArms(const RunConfig& config) {
  std::set<std::string> arms;
  for (const RunArm& arm : config.arms) {
    if (arm.clock.kind == "wall") arms.insert(arm.name);
  }
  return arms;
}

Status CheckOutcomes(const std::vector<const Part*>& parts,
                     const std::set<std::string>& wall_arms) {
  std::map<EpisodeId, std::pair<const Part*, const EpisodeRow*>> seen;
  for (const Part* part : parts) {
    for (const EpisodeRow& row : part->rows) {
      const auto [first, fresh] = seen.try_emplace(row.id, part, &row);
      const auto& [other, was] = first->second;
      if (fresh || wall_arms.contains(row.id.arm)) continue;
      if (was->outcome == row.outcome && was->state_hash == row.state_hash) continue;
      return BadInput(fmt::format("{} ended as {} (state {}) in {} and as {} (state {}) in {}",
                                  ToString(row.id), was->outcome, was->state_hash,
                                  other->folder.string(), row.outcome, row.state_hash,
                                  part->folder.string()));
    }
  }
  return {};
}

// An episode's video, before its row: a row never names a file that is not there, whole.
Status CopyVideo(const Part& part, const EpisodeRow& row, const fs::path& out) {
  if (row.video.empty() || !Exists(part.folder / row.video)) return {};
  const Result<fs::path> file = VideoPath(part.folder, row.video);
  if (!file.ok()) return file.status().In(ToString(row.id));
  const Result<std::string> bytes = ReadFile(*file);
  if (!bytes.ok()) return bytes.status();
  const fs::path to = out / kVideoFolder / file->filename();
  std::error_code error;
  fs::create_directories(to.parent_path(), error);
  if (error) return IoError(fmt::format("{}: {}", to.parent_path().string(), error.message()));
  return WriteFileAtomic(to, *bytes);
}

}  // namespace

// Everything is checked before anything is written: that the parts are of one run, and that an
// episode which several hold ended alike in all of them and in what an earlier merge left. Then
// facts that differ (machines, workers) are listed, and the episodes that are new are copied.
Result<MergeSummary> MergeRuns(const fs::path& out, const std::vector<fs::path>& runs) {
  std::vector<Part> parts;
  for (const fs::path& run : runs) {
    std::error_code error;
    if (fs::equivalent(run, out, error)) {
      return BadInput(fmt::format("{} is the folder to merge into", run.string()));
    }
    Result<Part> part = OpenPart(run);
    if (!part.ok()) return part.status();
    parts.push_back(*std::move(part));
  }
  if (parts.empty()) return BadInput("no runs to merge");
  RunMeta shared;
  for (const char* key : kShared) shared[key] = parts[0].meta[key];
  for (const Part& part : parts) {
    if (Status status = part.store.CheckMeta(shared); !status.ok()) return status;
  }
  RunConfig config;
  const Result<ConfigNode> node = ParseYaml(shared["config"], "(the runs' config)", false);
  if (!node.ok()) return node.status();
  if (Status status = ParseConfig(*node, &config); !status.ok()) return status;
  const Result<TraceLevel> level = ParseTraceLevel(config.trace);
  if (!level.ok()) return level.status();
  std::vector<const Part*> all;
  for (const Part& part : parts) all.push_back(&part);
  // What an earlier merge left.
  std::optional<Part> merged;
  const Result<bool> exists = RunStore::Exists(out);
  if (!exists.ok()) return exists.status();
  if (*exists) {
    Result<Part> part = OpenPart(out);
    if (!part.ok()) return part.status();
    if (Status status = part->store.CheckMeta(shared); !status.ok()) return status;
    all.push_back(&merged.emplace(*std::move(part)));
  }
  if (Status status = CheckOutcomes(all, WallArms(config)); !status.ok()) return status;
  merged.reset();

  RunMeta identity = shared, facts = parts[0].meta;
  identity["shard"] = "1/1";
  for (const auto& [key, value] : identity) facts.erase(key);
  facts["merged"] = std::to_string(parts.size());
  Result<RunStore> store = RunStore::OpenOrCreate(out, identity, facts);
  if (!store.ok()) return store.status();
  Result<std::set<EpisodeId>> done = store->Done();
  if (!done.ok()) return done.status();

  MergeSummary summary;
  Result<RunMeta> merged_meta = store->Meta();
  if (!merged_meta.ok()) return merged_meta.status();
  for (const char* key : kListed) {
    // Of an earlier merge too.
    std::string all = (*merged_meta)[key];
    for (const Part& part : parts) {
      const auto found = part.meta.find(key);
      if (found != part.meta.end()) all = WithListed(all, found->second);
    }
    if (all != (*merged_meta)[key]) {
      if (Status status = store->PutMeta(key, all); !status.ok()) return status;
    }
    if (all.find(" | ") != std::string::npos) {
      summary.notes.push_back(fmt::format("the parts differ in {}: {}", key, all));
    }
  }
  summary.planned = std::atoi(parts[0].meta["planned"].c_str());
  for (const Part& part : parts) {
    for (const EpisodeRow& row : part.rows) {
      if (!done->insert(row.id).second) continue;
      const Result<EpisodeRecord> record = part.store.Episode(row.id);
      if (!record.ok()) return record.status();
      if (Status status = CopyVideo(part, row, out); !status.ok()) return status;
      if (Status status = store->WriteEpisode(*record, *level); !status.ok()) return status;
      ++summary.added;
    }
  }
  const Result<std::vector<EpisodeRow>> rows = store->Episodes();
  if (!rows.ok()) return rows.status();
  summary.episodes = static_cast<int>(rows->size());
  for (const EpisodeRow& row : *rows) summary.errors += row.is_error() ? 1 : 0;
  return summary;
}

}  // namespace kvla

// SPDX-License-Identifier: Apache-2.0
#include "results/report/run_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <map>

#include "base/config_node.h"
#include "base/files.h"
#include "base/text.h"
#include "base/writer_lock.h"
#include "results/report/text_table.h"
#include "results/store/run_store.h"

namespace kvla {
namespace {

namespace fs = std::filesystem;

std::string At(const RunMeta& meta, const char* key) {
  const auto found = meta.find(key);
  return found == meta.end() ? "" : found->second;
}

Status Describe(RunListing* run) {
  const Result<RunStore> store = RunStore::Open(run->folder, RunStore::Mode::kReadOnly);
  if (!store.ok()) return store.status();
  const Result<RunMeta> meta = store->Meta();
  if (!meta.ok()) return meta.status();
  const Result<std::vector<EpisodeRow>> rows = store->Episodes();
  if (!rows.ok()) return rows.status();
  run->started = At(*meta, "started");
  run->planned = std::atoi(At(*meta, "planned").c_str());
  run->done = static_cast<int>(rows->size());
  for (const EpisodeRow& row : *rows) run->errors += row.is_error() ? 1 : 0;
  const Result<ConfigNode> config = ParseYaml(At(*meta, "config"), "(the run's config)", false);
  if (config.ok()) {
    const ConfigNode* name = config->Find("name");
    if (name != nullptr) run->name = name->text;
  }
  const auto arms = nlohmann::json::parse(At(*meta, "arms"), nullptr, false);
  for (const auto& arm : arms) {
    if (arm.is_string()) run->arms.push_back(arm.get<std::string>());
  }
  return {};
}

}  // namespace

std::string RunListing::State() const {
  if (!problem.empty()) return "unreadable: " + problem;
  const bool running = !writer.empty();
  std::string state = running ? "running" : done >= planned ? "complete" : "unfinished";
  if (running || done < planned) state += fmt::format(", {} of {}", done, planned);
  if (errors > 0) state += fmt::format(", {} error{}", errors, errors == 1 ? "" : "s");
  return running ? state + ", by " + writer : state;
}

std::vector<RunListing> ListRuns(const fs::path& folder) {
  std::map<fs::path, RunListing> runs;
  std::map<fs::path, int64_t> bytes;  // by folder, without those below
  std::error_code error;
  fs::recursive_directory_iterator it(folder, fs::directory_options::skip_permission_denied, error);
  for (const fs::recursive_directory_iterator end; !error && it != end; it.increment(error)) {
    if (!IsFile(it->path())) continue;
    std::error_code gone;
    const auto size = fs::file_size(it->path(), gone);
    const fs::path parent = it->path().parent_path();
    bytes[parent] += gone ? 0 : static_cast<int64_t>(size);
    if (it->path().filename() == kRunFile) runs[parent].folder = parent;
  }
  std::vector<RunListing> list;
  for (auto& [path, run] : runs) {
    for (const auto& [place, size] : bytes) {
      const std::string below = place.lexically_relative(path).string();
      if (!below.starts_with("..")) run.bytes += size;
    }
    run.writer = WriterLock::HolderOfFolder(path);
    if (Status status = Describe(&run); !status.ok()) run.problem = status.message();
    list.push_back(std::move(run));
  }
  return list;
}

std::string FormatRunList(const std::vector<RunListing>& runs) {
  std::string out;
  for (const RunListing& run : runs) {
    out += fmt::format("{}: {}", PrintableLine(run.folder.string()), PrintableLine(run.State()));
    if (run.problem.empty()) {
      out += fmt::format("; {}, arms {}", PrintableLine(run.name),
                         PrintableLine(Join(run.arms, ", ")));
      if (!run.started.empty()) out += "; started " + PrintableLine(run.started);
    }
    out += fmt::format("; {:.1f} MB\n", static_cast<double>(run.bytes) / 1e6);
  }
  return out.empty() ? "no runs found\n" : out;
}

nlohmann::json RunListJson(const std::vector<RunListing>& runs) {
  nlohmann::json rows = nlohmann::json::array();
  for (const RunListing& run : runs) {
    rows.push_back({{"folder", run.folder.string()},
                    {"name", run.name},
                    {"arms", run.arms},
                    {"started", run.started},
                    {"state", run.State()},
                    {"running", !run.writer.empty()},
                    {"writer", run.writer},
                    {"done", run.done},
                    {"planned", run.planned},
                    {"errors", run.errors},
                    {"problem", run.problem},
                    {"bytes", run.bytes}});
  }
  return {{"rows", rows}};
}

}  // namespace kvla

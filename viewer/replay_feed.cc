// SPDX-License-Identifier: Apache-2.0
#include "viewer/replay_feed.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/text.h"

namespace kvla {

Result<std::unique_ptr<ReplayFeed>> ReplayFeed::Open(const std::filesystem::path& run,
                                                     const ReplayWish& wish,
                                                     CompleteRecord complete) {
  Result<RunStore> store = RunStore::Open(run, RunStore::Mode::kReadOnly);
  if (!store.ok()) return store.status();
  std::unique_ptr<ReplayFeed> self(
      new ReplayFeed(*std::move(store), run, wish.follow, std::move(complete)));
  Result<RunMeta> meta = self->store_.Meta();
  if (!meta.ok()) return meta.status();
  self->meta_ = *std::move(meta);
  if (Status status = self->List(); !status.ok()) return status;
  const Result<Pick> pick = self->FirstPick(wish);
  if (!pick.ok()) return pick.status();
  if (Status status = self->Choose(*pick); !status.ok()) return status;
  return self;
}

std::string ReplayFeed::title() const { return "run " + run_.string(); }

Status ReplayFeed::List() {
  Result<std::vector<EpisodeRow>> rows = store_.Episodes();
  if (!rows.ok()) return rows.status();
  episodes_.clear();
  std::set<std::string> arms;
  for (const EpisodeRow& row : *rows) {
    const bool forgot = row.chance > 0 && row.decisive_reached && !row.decisive_right;
    episodes_.push_back({row.id, row.outcome, forgot});
    arms.insert(row.id.arm);
  }
  arms_.assign(arms.begin(), arms.end());
  return {};
}

bool ReplayFeed::Has(const EpisodeId& id) const {
  return std::any_of(episodes_.begin(), episodes_.end(),
                     [&](const EpisodeEntry& entry) { return entry.id == id; });
}

Result<Pick> ReplayFeed::FirstPick(const ReplayWish& wish) const {
  for (const std::string& arm : wish.arms) {
    if (std::find(arms_.begin(), arms_.end(), arm) == arms_.end()) {
      return BadInput(fmt::format("{}: the run has no arm '{}', only {}{}", run_.string(), arm,
                                  Join(arms_, ", "), DidYouMean(arm, arms_)));
    }
  }
  const EpisodeEntry* found = nullptr;
  for (const EpisodeEntry& entry : episodes_) {
    const EpisodeId& id = entry.id;
    if (!wish.task.empty() && id.task != wish.task) continue;
    if (!wish.delay.empty() && id.delay != wish.delay) continue;
    if (wish.seed.has_value() && id.seed != *wish.seed) continue;
    if (!wish.arms.empty() && id.arm != wish.arms.back()) continue;
    bool whole = true;  // every side has it
    for (const std::string& arm : wish.arms) {
      whole = whole && Has({arm, id.task, id.delay, id.seed});
    }
    if (!whole) continue;
    // A cache method that forgot tells most; then any failure.
    const auto rank = [](const EpisodeEntry& e) {
      return (e.outcome != "success" ? 1 : 0) + (e.forgot ? 1 : 0) +
             (e.forgot && e.id.arm != "full" ? 1 : 0);
    };
    if (found == nullptr || rank(entry) > rank(*found)) found = &entry;
  }
  if (found == nullptr) {
    return BadInput(
        fmt::format("{}: no such episode among the {} that the run holds so far (kvla report {} "
                    "--episodes lists them)",
                    run_.string(), episodes_.size(), run_.string()));
  }
  Pick pick;
  pick.arms = wish.arms.empty() ? std::vector<std::string>{found->id.arm} : wish.arms;
  pick.task = found->id.task;
  pick.delay = found->id.delay;
  pick.seed = found->id.seed;
  return pick;
}

Status ReplayFeed::Choose(const Pick& pick) {
  std::vector<std::unique_ptr<ReplaySource>> sources;
  std::vector<std::string> missing;
  for (const std::string& arm : pick.arms) {
    Result<EpisodeRecord> record = store_.Episode({arm, pick.task, pick.delay, pick.seed});
    if (!record.ok()) return record.status();
    // What cannot be added is missed and no more: the rest is worth a look.
    missing.push_back(complete_ ? complete_(&*record).message() : "");
    sources.push_back(std::make_unique<ReplaySource>(*record));
  }
  sources_ = std::move(sources);
  missing_ = std::move(missing);
  pick_ = pick;
  return {};
}

bool ReplayFeed::Refresh() {
  if (!follow_) return false;
  std::set<EpisodeId> before;
  for (const EpisodeEntry& entry : episodes_) before.insert(entry.id);
  if (!List().ok() || episodes_.size() == before.size()) return false;
  // Newest: of this arm, so that the picture does not jump between arms; else any.
  Pick next = pick_;
  for (const EpisodeEntry& entry : episodes_) {
    if (before.count(entry.id) != 0 || entry.id.arm != pick_.arms.back()) continue;
    const EpisodeId& id = entry.id;
    bool whole = true;
    for (const std::string& arm : pick_.arms) {
      whole = whole && Has({arm, id.task, id.delay, id.seed});
    }
    if (whole) next = {pick_.arms, id.task, id.delay, id.seed};
  }
  if (next != pick_) {
    if (Status status = Choose(next); !status.ok()) return false;
  }
  return true;
}

}  // namespace kvla

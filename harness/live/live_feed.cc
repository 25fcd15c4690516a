// SPDX-License-Identifier: Apache-2.0
#include "harness/live/live_feed.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/config_io.h"
#include "kv_efficient/methods/method_table.h"

namespace kvla {
namespace {

std::string FieldText(const CacheConfig& cache, const std::string& path) {
  const Result<ConfigNode> node = ParseYaml(PrintConfig(cache), "(cache)", false);
  if (!node.ok()) return "";
  const ConfigNode* field = node->Find(path);
  return field == nullptr ? "" : field->text;
}

}  // namespace

LiveFeed::LiveFeed(RunPlan plan, double speed, LiveStore* store)
    : plan_(std::move(plan)), speed_(speed), store_(store) {
  for (const RunArm& arm : plan_.config.arms) arms_.push_back(arm.name);
  for (const EpisodeJob& job : plan_.jobs) {
    episodes_.push_back({{arms_[static_cast<size_t>(job.arm)], job.task, job.delay, job.seed}, ""});
  }
}

void LiveFeed::Send(size_t side, const ViewerCommand& command) {
  if (side < sides_.size()) sides_[side]->Push(command);
}

Status LiveFeed::Choose(const Pick& pick) {
  std::vector<LiveJob> jobs;
  for (const std::string& arm : pick.arms) {
    const auto index = std::find(arms_.begin(), arms_.end(), arm) - arms_.begin();
    const auto job = std::find_if(plan_.jobs.begin(), plan_.jobs.end(), [&](const EpisodeJob& j) {
      return j.arm == index && j.task == pick.task && j.delay == pick.delay && j.seed == pick.seed;
    });
    if (job == plan_.jobs.end()) {
      return BadInput(fmt::format("{} {}/{} seed {} is no episode of this config", arm, pick.task,
                                  pick.delay, pick.seed));
    }
    jobs.push_back({*job, plan_.caches[static_cast<size_t>(index)]});
  }
  const bool new_arms = pick.arms != pick_.arms;
  if (new_arms) sides_.resize(std::min(sides_.size(), jobs.size()));
  for (size_t i = 0; i < jobs.size(); ++i) {
    if (i >= sides_.size()) {
      sides_.push_back(std::make_unique<LiveRunner>(plan_, jobs[i], speed_, store_));
    } else {
      // A cache that a person changed stays changed while the arm stays the same.
      if (i < pick_.arms.size() && pick.arms[i] == pick_.arms[i]) {
        jobs[i].cache = sides_[i]->wanted_cache();
      }
      sides_[i]->Open(jobs[i]);
    }
  }
  pick_ = pick;
  return {};
}

std::vector<LiveSetting> LiveFeed::settings(size_t side) const {
  if (side >= sides_.size()) return {};
  const CacheConfig wanted = sides_[side]->wanted_cache();
  const CacheConfig configured = Configured(side);
  const CacheMethod* method = FindCacheMethod(wanted.policy);
  std::vector<LiveSetting> settings;
  for (FieldInfo& info : DescribeFields<CacheConfig>()) {
    if (info.path == "gate") continue;  // a file, not a knob
    LiveSetting setting;
    setting.value = FieldText(wanted, info.path);
    setting.configured = FieldText(configured, info.path);
    const bool read = method != nullptr && method->reads(info.path);
    setting.at_once = LiveRunner::AtOnce(info.path) && read;
    const bool always = info.path == "policy" || info.path.find("_blocks") != std::string::npos;
    setting.used = always || read;
    setting.info = std::move(info);
    settings.push_back(std::move(setting));
  }
  return settings;
}

Status LiveFeed::Set(size_t side, const std::string& name, const std::string& value) {
  if (side >= sides_.size()) return {};
  CacheConfig cache = sides_[side]->wanted_cache();
  if (Status status = OverrideConfig({name + "=" + value}, &cache); !status.ok()) return status;
  if (name == "policy") ForMethod(value, Configured(side), &cache);
  if (Status status = ValidateCacheConfig(cache); !status.ok()) return status;
  sides_[side]->SetCache(cache, name, value);
  return {};
}

BoundedTraceRing::Counts LiveFeed::counts() const {
  BoundedTraceRing::Counts sum;
  for (const auto& side : sides_) {
    const BoundedTraceRing::Counts counts = side->counts();
    sum.dropped_steps += counts.dropped_steps;
    sum.dropped_images += counts.dropped_images;
    sum.merged_inferences += counts.merged_inferences;
    sum.dropped_episodes += counts.dropped_episodes;
  }
  return sum;
}

double LiveFeed::waited_share() const {
  double most = 0;
  for (const auto& side : sides_) most = std::max(most, side->waited_share());
  return most;
}

bool LiveFeed::alive() const {
  return std::all_of(sides_.begin(), sides_.end(), [](const auto& side) { return side->alive(); });
}

Status LiveFeed::status() const {
  for (const auto& side : sides_) {
    if (Status status = side->status(); !status.ok()) return status;
  }
  return {};
}

void LiveFeed::Quit() {
  for (const auto& side : sides_) side->Quit();
}

void LiveFeed::Finish() {
  for (const auto& side : sides_) side->Finish();
}

bool LiveFeed::any_alive() const {
  return std::any_of(sides_.begin(), sides_.end(), [](const auto& side) { return side->alive(); });
}

CacheConfig LiveFeed::Configured(size_t side) const {
  const auto arm = std::find(arms_.begin(), arms_.end(), pick_.arms[side]);
  return plan_.caches[static_cast<size_t>(arm - arms_.begin())];
}

// Another method reads other settings: those that it does not read go back to their defaults, and a
// gate comes from whichever arm has one.
void LiveFeed::ForMethod(const std::string& method, const CacheConfig& configured,
                         CacheConfig* cache) const {
  CacheConfig fresh;
  fresh.policy = method;
  fresh.window_blocks = cache->window_blocks;
  fresh.chunk_blocks = cache->chunk_blocks;
  if (configured.policy == method) fresh = configured;
  const CacheMethod* info = FindCacheMethod(method);
  SetUsualBudget(&fresh);
  if (info != nullptr && info->reads("gate") && fresh.gate.empty()) {
    for (const CacheConfig& other : plan_.caches) {
      if (other.policy != method || other.gate.empty()) continue;
      fresh.gate = other.gate;
      fresh.keep = other.keep;
    }
  }
  *cache = fresh;
}

}  // namespace kvla

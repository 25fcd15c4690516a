#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "apps/live_lane.h"
#include "apps/view_flags.h"
#include "base/config_io.h"
#include "base/streams.h"
#include "base/text.h"
#include "kv_efficient/cache_policy_list.h"
#include "viewer/feed.h"

namespace kvla {
namespace {

// How many seeds the picker offers.
constexpr int kSeeds = 64;

// The arm to show where none is named: the gated one, which has most to show; else the first.
std::string DefaultArm(const RunConfig& config) {
  for (const RunArm& arm : config.arms) {
    if (arm.cache.policy == "gated") return arm.name;
  }
  return config.arms.front().name;
}

// Checks the names that the flags give, and adds a task that is not of this run.
Status Narrow(const ViewFlags& flags, RunConfig* config) {
  if (config->arms.empty()) return BadInput("'arms' is empty: nothing to show");
  std::vector<std::string> names;
  for (const RunArm& arm : config->arms) names.push_back(arm.name);
  for (const std::string& arm : flags.WantedArms()) {
    if (std::find(names.begin(), names.end(), arm) != names.end()) continue;
    return BadInput(fmt::format("arm {}: the config has no such arm, only {}{}", arm,
                                Join(names, ", "), DidYouMean(arm, names)));
  }
  const bool known =
      flags.task.empty() || std::any_of(config->tasks.begin(), config->tasks.end(),
                                        [&](const RunTask& t) { return t.name == flags.task; });
  if (!known) config->tasks = {{flags.task, {}}};  // not of this run, yet of this program
  if (!flags.delay.empty()) {
    for (RunTask& task : config->tasks) {
      if (flags.task.empty() || task.name == flags.task) task.delays = {flags.delay};
    }
  }
  if (flags.seed.has_value()) config->first_episode = *flags.seed;
  config->episodes = kSeeds;
  return {};
}

// Episodes that run now, each lane on a thread of its own.
class LiveFeed : public Feed {
 public:
  LiveFeed(RunPlan plan, double speed, LiveStore* store)
      : plan_(std::move(plan)), speed_(speed), store_(store) {
    for (const RunArm& arm : plan_.config.arms) arms_.push_back(arm.name);
    for (const EpisodeJob& job : plan_.jobs) {
      episodes_.push_back(
          {{arms_[static_cast<size_t>(job.arm)], job.task, job.delay, job.seed}, ""});
    }
  }
  ~LiveFeed() override { lanes_.clear(); }

  bool live() const override { return true; }
  std::string title() const override { return "live " + plan_.config.name; }
  const std::vector<std::string>& arms() const override { return arms_; }
  const std::vector<EpisodeEntry>& episodes() const override { return episodes_; }
  const Pick& pick() const override { return pick_; }
  TraceSource* source(size_t lane) override { return lanes_[lane]->source(); }
  void Send(size_t lane, const ViewerCommand& command) override {
    if (lane < lanes_.size()) lanes_[lane]->Push(command);
  }

  Status Choose(const Pick& pick) override {
    std::vector<LaneJob> jobs;
    for (const std::string& arm : pick.arms) {
      const auto index = std::find(arms_.begin(), arms_.end(), arm) - arms_.begin();
      const auto job = std::find_if(plan_.jobs.begin(), plan_.jobs.end(), [&](const EpisodeJob& j) {
        return j.arm == index && j.task == pick.task && j.delay == pick.delay &&
               j.seed == pick.seed;
      });
      if (job == plan_.jobs.end()) {
        return BadInput(fmt::format("{} {}/{} seed {} is no episode of this config", arm, pick.task,
                                    pick.delay, pick.seed));
      }
      jobs.push_back({*job, plan_.caches[static_cast<size_t>(index)]});
    }
    const bool new_arms = pick.arms != pick_.arms;
    if (new_arms) lanes_.resize(std::min(lanes_.size(), jobs.size()));
    for (size_t i = 0; i < jobs.size(); ++i) {
      if (i >= lanes_.size()) {
        lanes_.push_back(std::make_unique<LiveLane>(plan_, jobs[i], speed_, store_));
      } else {
        // A cache that a person changed stays changed while the arm stays the same.
        if (i < pick_.arms.size() && pick.arms[i] == pick_.arms[i]) {
          jobs[i].cache = lanes_[i]->wanted_cache();
        }
        lanes_[i]->Open(jobs[i]);
      }
    }
    pick_ = pick;
    return {};
  }

  std::vector<LiveSetting> settings(size_t lane) const override {
    if (lane >= lanes_.size()) return {};
    const CacheConfig wanted = lanes_[lane]->wanted_cache();
    const CacheConfig configured = Configured(lane);
    std::vector<std::string> used;
    for (const CachePolicyInfo& info : CachePolicies()) {
      if (info.name == wanted.policy) used = info.settings;
    }
    std::vector<LiveSetting> settings;
    for (FieldInfo& info : DescribeFields<CacheConfig>()) {
      if (info.path == "gate") continue;  // a file, not a knob
      LiveSetting setting;
      setting.value = FieldText(wanted, info.path);
      setting.configured = FieldText(configured, info.path);
      setting.at_once = LiveLane::AtOnce(info.path) && wanted.policy == "gated";
      const bool always = info.path == "policy" || info.path.find("_blocks") != std::string::npos;
      setting.used = always || std::find(used.begin(), used.end(), info.path) != used.end();
      setting.info = std::move(info);
      settings.push_back(std::move(setting));
    }
    return settings;
  }

  Status Set(size_t lane, const std::string& name, const std::string& value) override {
    if (lane >= lanes_.size()) return {};
    CacheConfig cache = lanes_[lane]->wanted_cache();
    if (Status status = OverrideConfig({name + "=" + value}, &cache); !status.ok()) return status;
    if (name == "policy") ForMethod(value, Configured(lane), &cache);
    if (Status status = ValidateCacheConfig(cache); !status.ok()) return status;
    lanes_[lane]->SetCache(cache, name, value);
    return {};
  }

  BoundedTraceRing::Counts counts() const override {
    BoundedTraceRing::Counts sum;
    for (const auto& lane : lanes_) {
      const BoundedTraceRing::Counts counts = lane->counts();
      sum.dropped_steps += counts.dropped_steps;
      sum.dropped_images += counts.dropped_images;
      sum.merged_inferences += counts.merged_inferences;
      sum.dropped_episodes += counts.dropped_episodes;
    }
    return sum;
  }

  double waited_share() const override {
    double most = 0;
    for (const auto& lane : lanes_) most = std::max(most, lane->waited_share());
    return most;
  }

  bool alive() const override {
    return std::all_of(lanes_.begin(), lanes_.end(),
                       [](const auto& lane) { return lane->alive(); });
  }
  Status status() const {
    for (const auto& lane : lanes_) {
      if (Status status = lane->status(); !status.ok()) return status;
    }
    return {};
  }
  void Quit() {
    for (const auto& lane : lanes_) lane->Quit();
  }
  // Nobody watches any more: the episodes go on to their ends.
  void Finish() {
    for (const auto& lane : lanes_) lane->Finish();
  }
  bool any_alive() const {
    return std::any_of(lanes_.begin(), lanes_.end(),
                       [](const auto& lane) { return lane->alive(); });
  }

 private:
  CacheConfig Configured(size_t lane) const {
    const auto arm = std::find(arms_.begin(), arms_.end(), pick_.arms[lane]);
    return plan_.caches[static_cast<size_t>(arm - arms_.begin())];
  }

  static std::string FieldText(const CacheConfig& cache, const std::string& path) {
    const Result<ConfigNode> node = ParseYaml(PrintConfig(cache), "(cache)", false);
    if (!node.ok()) return "";
    const ConfigNode* field = node->Find(path);
    return field == nullptr ? "" : field->text;
  }

  // Another method reads other settings: those that it does not read go back to their defaults, and
  // a gate comes from whichever arm has one.
  void ForMethod(const std::string& method, const CacheConfig& configured, CacheConfig* cache) {
    CacheConfig fresh;
    fresh.policy = method;
    fresh.window_blocks = cache->window_blocks;
    fresh.chunk_blocks = cache->chunk_blocks;
    if (configured.policy == method) fresh = configured;
    if (method == "gated" && fresh.gate.empty()) {
      for (const CacheConfig& other : plan_.caches) {
        if (!other.gate.empty()) fresh.gate = other.gate, fresh.keep = other.keep;
      }
    }
    *cache = fresh;
  }

  RunPlan plan_;
  double speed_;
  LiveStore* store_;  // or null
  std::vector<std::string> arms_;
  std::vector<EpisodeEntry> episodes_;
  Pick pick_;
  std::vector<std::unique_ptr<LiveLane>> lanes_;
};

// With --out, an episode whose window was closed is worth its end.
void FinishUnwatched(LiveFeed* feed) {
  feed->Finish();
  const std::atomic<bool>* interrupted = CatchInterrupts();
  constexpr std::chrono::milliseconds kNap{20};
  constexpr auto kSayAfter = std::chrono::seconds(1);
  const auto start = std::chrono::steady_clock::now();
  bool said = false;
  while (feed->any_alive() && !*interrupted) {
    if (!said && std::chrono::steady_clock::now() - start > kSayAfter) {
      Say("kvla: the window is closed, the episode goes on to its end; Ctrl+C stops it\n");
      said = true;
    }
    std::this_thread::sleep_for(kNap);
  }
}

}  // namespace

Status ViewLive(const AppContext& context, const ViewFlags& flags) {
  if (flags.follow) return BadInput("--follow is for the folder of a run that is in progress");
  RunConfig config;
  if (Status status = LoadConfigFile(flags.what, flags.overrides, &config); !status.ok()) {
    return status;
  }
  if (Status status = Narrow(flags, &config); !status.ok()) return status;
  const Result<RunPlan> plan = PlanRun(config, context.asset_root);
  if (!plan.ok()) return plan.status();
  Pick pick;
  pick.arms = flags.WantedArms();
  if (pick.arms.empty()) pick.arms = {DefaultArm(config)};
  for (const EpisodeJob& job : plan->jobs) {
    if (!flags.task.empty() && job.task != flags.task) continue;
    pick.task = job.task;
    pick.delay = job.delay;
    pick.seed = job.seed;
    break;
  }
  std::unique_ptr<LiveStore> store;
  if (!flags.out.empty()) {
    Result<std::unique_ptr<LiveStore>> made = LiveStore::Create(flags.out, config);
    if (!made.ok()) return made.status();
    store = *std::move(made);
  }
  LiveFeed feed(*plan, flags.speed.value_or(flags.picture() ? 0 : 1), store.get());
  if (Status status = feed.Choose(pick); !status.ok()) return status;
  const Status status = ShowFeed(&feed, HooksOf(*plan, flags), flags);
  if (store != nullptr && status.ok()) FinishUnwatched(&feed);
  feed.Quit();
  if (Status run = feed.status(); !run.ok()) return run;
  return status;
}

}  // namespace kvla

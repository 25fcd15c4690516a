// SPDX-License-Identifier: Apache-2.0
#include "harness/live/live_runner.h"

#include <fmt/format.h>

#include <chrono>
#include <utility>

#include "base/config_differences.h"
#include "base/config_io.h"

namespace kvla {
namespace {

// Enough that a reader at 20 frames/s misses nothing of an episode that goes as fast as it can.
constexpr size_t kRingEvents = 4096;
constexpr size_t kRingImages = 256;

const char* CommandName(ViewerCommandKind kind) {
  switch (kind) {
    case ViewerCommandKind::kPause:
      return "pause";
    case ViewerCommandKind::kResume:
      return "resume";
    case ViewerCommandKind::kStep:
      return "step";
    case ViewerCommandKind::kInference:
      return "inference";
    case ViewerCommandKind::kPull:
      return "pull";
    case ViewerCommandKind::kTurn:
      return "turn";
    case ViewerCommandKind::kRelease:
      return "release";
    default:
      return "";
  }
}

}  // namespace

// Marks what a person touched, on its way to the ring.
class LiveRunner::Sink : public TraceSink {
 public:
  Sink(TraceSink* next, StepGate* gate) : next_(next), gate_(gate) {}
  // What was changed before the episode: told behind its begin.
  void set_changes(std::vector<CommandEvent> changes) { changes_ = std::move(changes); }
  double spent_s() const { return spent_s_; }

  void On(const TraceEvent& event) override {
    const auto start = std::chrono::steady_clock::now();
    if (const auto* end = std::get_if<EpisodeEnd>(&event); end != nullptr && gate_->touched()) {
      EpisodeEnd marked = *end;
      marked.comparable = false;
      next_->On(marked);
    } else {
      next_->On(event);
    }
    if (std::holds_alternative<EpisodeBegin>(event)) {
      for (const CommandEvent& change : changes_) next_->On(change);
      if (!changes_.empty()) gate_->Touch();
    }
    spent_s_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }

 private:
  TraceSink* next_;
  StepGate* gate_;
  std::vector<CommandEvent> changes_;
  double spent_s_ = 0;
};

LiveRunner::LiveRunner(RunPlan plan, LiveJob job, double speed, LiveStore* store)
    : plan_(std::move(plan)),
      ring_(kRingEvents, kRingImages),
      store_(store),
      wanted_(std::move(job)),
      gate_(&commands_, kControlPeriod, speed),
      out_(store == nullptr ? std::vector<TraceSink*>{&ring_}
                            : std::vector<TraceSink*>{&ring_, &recorder_}),
      thread_([this] { Run(); }) {}

LiveRunner::~LiveRunner() { Quit(); }

void LiveRunner::Quit() {
  commands_.Push({ViewerCommandKind::kQuit});
  if (thread_.joinable()) thread_.join();
}

Status LiveRunner::status() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return status_;
}

CacheConfig LiveRunner::wanted_cache() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return wanted_.cache;
}

void LiveRunner::Open(const LiveJob& job) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    wanted_ = job;
  }
  commands_.Push({ViewerCommandKind::kOpen});
}

void LiveRunner::SetCache(const CacheConfig& cache, const std::string& name,
                          const std::string& value) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    wanted_.cache = cache;
    if (!AtOnce(name)) return;
    changes_.push_back({name, value, cache});
  }
  commands_.Push({ViewerCommandKind::kSetting});
}

Status LiveRunner::Prepare(const LiveJob& wanted) {
  const bool same = loaded_.has_value() && loaded_->job.arm == wanted.job.arm &&
                    ConfigHash(loaded_->cache) == ConfigHash(wanted.cache);
  if (same) return {};
  runner_.reset();
  const auto arm = static_cast<size_t>(wanted.job.arm);
  RunPlan plan = plan_;
  plan.config.arms = {plan_.config.arms[arm]};
  plan.caches = {wanted.cache};
  plan.recorded_ms = {plan_.recorded_ms[arm]};
  EpisodeRunner::Options options;
  options.steps = options.states = options.images = true;
  Result<std::unique_ptr<EpisodeRunner>> made = EpisodeRunner::Create(plan, options);
  if (!made.ok()) return made.status();
  runner_ = *std::move(made);
  loaded_ = wanted;
  return {};
}

// On the runner's thread: what the gate does not do itself, and the trace of it all.
void LiveRunner::Obey(const ViewerCommand& command) {
  CommandEvent event;
  event.control_step = control_step_;
  event.name = CommandName(command.kind);
  World* world = episode_ == nullptr ? nullptr : &episode_->world();
  if (command.kind == ViewerCommandKind::kPull && world != nullptr) {
    const auto& p = command.pull;
    const Status status =
        world->Pull({static_cast<int>(p[0]), {p[1], p[2], p[3]}, {p[4], p[5], p[6]}});
    if (!status.ok()) return;
    event.numbers.assign(p.begin(), p.end());
  } else if (command.kind == ViewerCommandKind::kTurn && world != nullptr) {
    const auto& p = command.pull;
    World::Hand hand;
    hand.body = static_cast<int>(p[0]);
    hand.turn = {p[1], p[2], p[3], p[4]};
    if (!world->Pull(hand).ok()) return;
    event.numbers.assign(p.begin(), p.begin() + 5);
  } else if (command.kind == ViewerCommandKind::kRelease && world != nullptr) {
    world->Release();
  } else if (command.kind == ViewerCommandKind::kSetting) {
    std::vector<Change> changes;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      changes.swap(changes_);
    }
    for (const Change& change : changes) {
      if (episode_ != nullptr && loaded_->cache.policy == change.cache.policy) {
        episode_->session().SetRetention(change.cache.threshold, change.cache.budget_chunks);
      }
      event.name = change.name;
      event.text = change.value;
      out_.On(event);
    }
    return;
  }
  if (!event.name.empty()) out_.On(event);
}

std::vector<CommandEvent> LiveRunner::ChangesFrom(const LiveJob& wanted) const {
  const CacheConfig& configured = plan_.caches[static_cast<size_t>(wanted.job.arm)];
  std::vector<CommandEvent> changes;
  for (const ConfigMember& member :
       ChangedMembers(PrintConfig(configured), PrintConfig(wanted.cache))) {
    CommandEvent change;
    change.name = member.key;
    change.text = member.value.text;
    changes.push_back(std::move(change));
  }
  return changes;
}

StepVerdict LiveRunner::BeforeStep(bool inference_due) {
  verdict_ = gate_.BeforeStep(inference_due);
  ++control_step_;
  CountTime();
  return verdict_ == StepGate::Verdict::kGo ? StepVerdict::kGo : StepVerdict::kStop;
}

void LiveRunner::CountTime() {
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began_;
  const double own_s = episodes_s_ + took.count() - gate_.held_s();
  const double waited_s = gate_.waited_s() - gate_.held_s() + sink_->spent_s();
  if (own_s > 0) waited_share_ = waited_s / own_s;
}

void LiveRunner::Run() {
  gate_.set_listener([this](const ViewerCommand& command) { Obey(command); });
  Sink sink(&out_, &gate_);
  sink_ = &sink;
  while (true) {
    LiveJob wanted;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      wanted = wanted_;
      changes_.clear();
    }
    Status status = Prepare(wanted);
    if (status.ok()) {
      sink.set_changes(ChangesFrom(wanted));
      EpisodeJob job = wanted.job;
      job.arm = 0;
      gate_.BeginEpisode();
      control_step_ = 0;
      verdict_ = StepGate::Verdict::kGo;
      began_ = std::chrono::steady_clock::now();
      Result<std::unique_ptr<RunningEpisode>> begun = runner_->Begin(
          job, [this](bool inference_due) { return BeforeStep(inference_due); }, &sink);
      status = begun.status();
      if (begun.ok()) {
        episode_ = *std::move(begun);
        episode_->session().ReportAttention(true);
        // A threshold that was changed and then kept is in force from the start.
        episode_->session().SetRetention(wanted.cache.threshold, wanted.cache.budget_chunks);
        runner_->Finish(episode_.get());
        episode_.reset();
      }
      CountTime();
      episodes_s_ +=
          std::chrono::duration<double>(std::chrono::steady_clock::now() - began_).count();
      if (store_ != nullptr && status.ok() && recorder_.complete()) {
        status = store_->Write(recorder_.Take());
      }
    }
    if (!status.ok()) {
      const std::lock_guard<std::mutex> lock(mutex_);
      status_ = status;
      break;
    }
    if (verdict_ == StepGate::Verdict::kGo) verdict_ = gate_.AfterEpisode();
    if (verdict_ == StepGate::Verdict::kQuit) break;
  }
  runner_.reset();  // its GL context belongs to this thread
  alive_ = false;
}

}  // namespace kvla

#include "tasks/certify.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace kvla {
namespace {

constexpr double kBound = 1.96;  // standard deviations of a 95% bound
constexpr double kSlack = 3.1;   // of the rate's own spread, one-sided: one in a thousand
constexpr int kFewestBlind = 100;

// Runs the episodes of one certificate, of which each worker takes the next.
class Certification {
 public:
  Certification(const Task& task, const std::string& delay, const CertifyOptions& options,
                const std::function<bool(int, int)>& progress)
      : task_(task), delay_(delay), options_(options), progress_(progress) {
    result_.episodes = options.episodes;
    result_.blind_episodes = options.blind_episodes;
    total_ = options.episodes + options.blind_episodes;
  }

  void Work() {
    auto world = World::Load(task_.scene());
    if (!world.ok()) return Fail(world.status());
    for (int i = Next(); i >= 0; i = Next()) {
      const Status status = RunOne(**world, i);
      if (!status.ok()) return Fail(status);
    }
  }

  Result<CertifyResult> Finish() {
    if (!status_.ok()) return status_;
    if (progress_) progress_(total_, total_);
    return result_;
  }

 private:
  // -1: nothing left.
  int Next() {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (next_ == total_ || !status_.ok()) return -1;
    if (progress_ && !progress_(next_, total_)) {
      status_ = Status(StatusCode::kCancelled, "cancelled");
      return -1;
    }
    return next_++;
  }

  void Fail(const Status& status) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (status_.ok()) status_ = status;
  }

  Status RunOne(World& world, int i) {
    const bool blind = i >= options_.episodes;
    const int episode = blind ? i - options_.episodes : i;
    const EpisodeKey key{Split::kValidation, options_.run_seed, task_.info().name, delay_,
                         static_cast<uint64_t>(episode)};
    auto scenario = task_.Place(world, key);
    if (!scenario.ok()) return scenario.status();
    auto expert = task_.MakeExpert(*scenario, blind, Rng(key, "expert"));
    Disturbance disturbance(options_.disturbance, *scenario, &world);
    Progress p = task_.Evaluate(world, *scenario);
    int steps = 0;
    bool diverged = false;
    while (steps < scenario->horizon_steps && !p.done && !diverged) {
      const Action action = expert->Act(world);
      disturbance.Push();
      diverged = !world.Step(action).ok();
      if (diverged) break;
      ++steps;
      task_.Update(world, *scenario);
      p = task_.Evaluate(world, *scenario);
    }
    const std::lock_guard<std::mutex> lock(mutex_);
    result_.errors += diverged;
    if (diverged) return {};
    if (blind) {
      result_.blind_success += p.success;
      result_.blind_decided += p.decisive_reached;
      result_.blind_right += p.decisive_right;
    } else {
      result_.expert_success += p.success;
      result_.expert_steps += steps;
    }
    return {};
  }

  const Task& task_;
  const std::string& delay_;
  const CertifyOptions& options_;
  const std::function<bool(int, int)>& progress_;
  int total_ = 0;

  std::mutex mutex_;  // guards what follows
  int next_ = 0;
  Status status_;
  CertifyResult result_;
};

}  // namespace

int BlindEpisodesFor(double chance, int at_least) {
  const double deviations = (kBound + kSlack) / kAboveChance;
  const int needed = static_cast<int>(std::ceil(chance * (1 - chance) * deviations * deviations));
  return std::max({needed, at_least, kFewestBlind});
}

Result<CertifyResult> Certify(const Task& task, const std::string& delay,
                              const CertifyOptions& options,
                              const std::function<bool(int, int)>& progress) {
  CertifyOptions settled = options;
  if (settled.blind_episodes == 0 && task.info().needs_memory) {
    settled.blind_episodes = BlindEpisodesFor(task.info().chance, settled.episodes);
  }
  Certification certification(task, delay, settled, progress);
  std::vector<std::thread> workers;
  for (int i = 1; i < settled.threads; ++i) {
    workers.emplace_back([&certification] { certification.Work(); });
  }
  certification.Work();
  for (std::thread& worker : workers) worker.join();
  return certification.Finish();
}

}  // namespace kvla

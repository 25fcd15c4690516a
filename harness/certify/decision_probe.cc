// SPDX-License-Identifier: Apache-2.0
#include "harness/certify/decision_probe.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/parallel_jobs.h"
#include "harness/certify/expert_watch.h"
#include "harness/episode/policy_io.h"
#include "policy/probe_net.h"

namespace kvla {
namespace {

// What one episode contributes.
struct Observed {
  std::optional<ProbeSample> decision, window, cue;
  int decided = -1;  // the expert's class when the decision opened
  int seen = -1;     // its class at the cue
  int cued = -1;     // the scenario's
};

// Frames in their order as one sample, the first one as often as it takes to have `count`.
ProbeSample Joined(const std::deque<ProbeSample>& frames, int count) {
  ProbeSample joined;
  joined.images.resize(frames.front().images.size());
  for (int i = count - 1; i >= 0; --i) {
    const ProbeSample& frame = frames[frames.size() - 1 - std::min<size_t>(i, frames.size() - 1)];
    for (size_t c = 0; c < frame.images.size(); ++c) {
      joined.images[c].insert(joined.images[c].end(), frame.images[c].begin(),
                              frame.images[c].end());
    }
    joined.proprio.push_back(frame.proprio.front());
  }
  return joined;
}

class Observer {
 public:
  Observer(ExpertWatch& watch, const ProbeOptions& options) : watch_(watch), options_(options) {}

  Result<Observed> Run(const EpisodeKey& key) {
    const Status status =
        watch_.Play(key, [this](const Scenario& scenario, int step, const ExpertLabel& label) {
          return Watch(scenario, step, label);
        });
    return status.ok() ? Result<Observed>(std::move(observed_)) : status;
  }

 private:
  // False when all is seen.
  Result<bool> Watch(const Scenario& scenario, int step, const ExpertLabel& label) {
    observed_.cued = scenario.target;
    if (!scenario.cues.empty()) {
      const CueInterval& cue = scenario.cues.front();
      if (!observed_.cue && watch_.world().time_s() >= 0.5 * (cue.begin_s + cue.end_s)) {
        if (Status status = Look(&observed_.cue.emplace()); !status.ok()) return status;
        observed_.seen = label.target;
      }
    }
    if (!observed_.decision && label.decision) {
      observed_.decided = label.target;
      if (Status status = Look(&observed_.decision.emplace()); !status.ok()) return status;
    }
    const PolicyGeometry& geometry = options_.geometry;
    const int block = step / geometry.replan_steps;
    // Frames that will have left the window are not drawn.
    if (step % geometry.replan_steps != 0 ||
        block + geometry.MostNearBlocks() < geometry.BlockFrom(scenario.decision_s)) {
      return true;
    }
    if (Status status = Look(&frames_.emplace_back()); !status.ok()) return status;
    const int near = block - geometry.schedule().NearBegin(block) + 1;
    while (static_cast<int>(frames_.size()) > near) frames_.pop_front();
    if (!observed_.decision) return true;
    observed_.window = Joined(frames_, geometry.MostNearBlocks());
    return false;
  }

  Status Look(ProbeSample* out) {
    std::vector<Image> images;
    if (Status status = watch_.Look(&images); !status.ok()) return status;
    for (Image& image : images) out->images.push_back(std::move(image.rgb));
    const Proprioception proprio = watch_.world().Proprio();
    out->proprio = {
        ProprioVector(proprio.ee.position, proprio.ee.quaternion, proprio.gripper_width)};
    return {};
  }

  ExpertWatch& watch_;
  const ProbeOptions& options_;
  Observed observed_;
  std::deque<ProbeSample> frames_;  // near at the last inference
};

// All episodes, those to train on first.
Result<std::vector<Observed>> Observe(const Task& task, const std::string& delay,
                                      const ProbeOptions& options,
                                      const std::function<bool(int, int)>& progress) {
  const int total = options.train_episodes + options.held_out_episodes;
  std::vector<Observed> episodes(static_cast<size_t>(total));  // each written by who took it
  const auto begin = [&]() -> Result<Job> {
    const Result<std::shared_ptr<ExpertWatch>> made = ExpertWatch::Create(task, options.image_size);
    if (!made.ok()) return made.status();
    return Job([&, watch = *made](int i) -> Status {
      const bool train = i < options.train_episodes;
      const EpisodeKey key{train ? Split::kTrain : Split::kValidation, options.run_seed,
                           task.info().name, delay,
                           static_cast<uint64_t>(train ? i : i - options.train_episodes)};
      Result<Observed> observed = Observer(*watch, options).Run(key);
      if (!observed.ok()) return observed.status();
      episodes[static_cast<size_t>(i)] = *std::move(observed);
      return {};
    });
  };
  if (Status s = RunParallelJobs(total, options.threads, begin, progress); !s.ok()) return s;
  return episodes;
}

// Whether a class is known of every episode with a decision, and not always the same.
bool Varies(const std::vector<Observed>& episodes, int Observed::*which) {
  int least = INT32_MAX, most = -1;
  for (const Observed& o : episodes) {
    if (!o.decision) continue;
    least = std::min(least, o.*which);
    most = std::max(most, o.*which);
  }
  return least >= 0 && most > least;
}

// Labels every observation with what varies: the expert's class there, or the cued one.
void Label(std::vector<Observed>* episodes) {
  const bool decided = Varies(*episodes, &Observed::decided);
  const bool seen = Varies(*episodes, &Observed::seen);
  for (Observed& o : *episodes) {
    const int label = decided ? o.decided : o.cued;
    if (!o.decision || label < 0) {
      o = {};
      continue;
    }
    o.decision->label = label;
    if (o.window) o.window->label = label;
    if (o.cue) o.cue->label = seen ? o.seen : o.cued;
  }
}

// Takes them: those of all windows are hundreds of megabytes.
std::vector<ProbeSample> TakeSamples(std::vector<Observed>* episodes, size_t begin, size_t end,
                                     std::optional<ProbeSample> Observed::*which) {
  std::vector<ProbeSample> samples;
  for (size_t i = begin; i < end; ++i) {
    std::optional<ProbeSample>& sample = (*episodes)[i].*which;
    if (sample) samples.push_back(*std::exchange(sample, std::nullopt));
  }
  return samples;
}

// Right guesses on the held-out samples; 0 where there is nothing to train on.
Result<int> CountRight(const std::vector<ProbeSample>& train,
                       const std::vector<ProbeSample>& held_out, const ProbeOptions& options) {
  if (train.empty() || held_out.empty()) return 0;
  ProbeTraining training;
  training.image_size = options.image_size;
  training.seed = options.run_seed;
  const Result<std::vector<int>> guesses = TrainProbe(train, held_out, training);
  if (!guesses.ok()) return guesses.status();
  int right = 0;
  for (size_t i = 0; i < held_out.size(); ++i) right += (*guesses)[i] == held_out[i].label;
  return right;
}

}  // namespace

Result<ProbeResult> RunProbe(const Task& task, const std::string& delay,
                             const ProbeOptions& options,
                             const std::function<bool(int, int)>& progress) {
  Result<std::vector<Observed>> observed = Observe(task, delay, options, progress);
  if (!observed.ok()) return observed.status();
  std::vector<Observed> episodes = *std::move(observed);
  Label(&episodes);

  ProbeResult result;
  std::map<int, int> counts;
  int labelled = 0;
  for (const Observed& o : episodes) {
    if (!o.decision) continue;
    ++counts[o.decision->label];
    ++labelled;
  }
  if (counts.size() < 2) {
    return BadInput(
        fmt::format("task '{}': no decision between classes to probe", task.info().name));
  }
  result.classes = static_cast<int>(counts.size());
  for (const auto& [label, count] : counts) {
    result.chance = std::max(result.chance, static_cast<double>(count) / labelled);
  }
  const auto half = static_cast<size_t>(options.train_episodes);
  const struct {
    std::optional<ProbeSample> Observed::*sample;
    int ProbeResult::*held_out;
    int ProbeResult::*right;
  } kinds[] = {{&Observed::decision, &ProbeResult::held_out, &ProbeResult::right},
               {&Observed::cue, &ProbeResult::cue_held_out, &ProbeResult::cue_right},
               {&Observed::window, &ProbeResult::window_held_out, &ProbeResult::window_right}};
  for (const auto& kind : kinds) {
    const std::vector<ProbeSample> train = TakeSamples(&episodes, 0, half, kind.sample);
    const std::vector<ProbeSample> held_out =
        TakeSamples(&episodes, half, episodes.size(), kind.sample);
    const Result<int> right = CountRight(train, held_out, options);
    if (!right.ok()) return right.status();
    result.*kind.right = *right;
    result.*kind.held_out = static_cast<int>(held_out.size());
  }
  return result;
}

}  // namespace kvla

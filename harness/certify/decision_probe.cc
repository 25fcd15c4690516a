// SPDX-License-Identifier: Apache-2.0
#include "harness/certify/decision_probe.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/parallel_jobs.h"
#include "harness/episode/policy_io.h"
#include "policy/probe_net.h"
#include "sim/renderer.h"
#include "sim/world.h"

namespace kvla {
namespace {

constexpr const char* kCameras[] = {"front", "wrist"};

// What one episode contributes.
struct Observed {
  std::optional<ProbeSample> decision, cue;
  int decided = -1;  // the expert's class when the decision opened
  int seen = -1;     // its class at the cue
  int cued = -1;     // the scenario's
};

class Observer {
 public:
  Observer(const Task& task, World& world, Renderer& renderer, int image_size)
      : task_(task), world_(world), renderer_(renderer), image_size_(image_size) {}

  Result<Observed> Run(const EpisodeKey& key) {
    Result<Scenario> scenario = task_.Place(world_, key);
    if (!scenario.ok()) return scenario.status();
    task_.Update(world_, *scenario);
    const std::unique_ptr<Expert> expert =
        task_.MakeExpert(*scenario, /*blind=*/false, Rng(key, "probe/expert"));
    Observed observed;
    observed.cued = scenario->target;
    const double cue_s =
        scenario->cues.empty()
            ? -1.0
            : 0.5 * (scenario->cues.front().begin_s + scenario->cues.front().end_s);
    for (int step = 0; step < scenario->horizon_steps; ++step) {
      const Action action = expert->Act(world_);
      const ExpertLabel label = expert->Label();
      if (label.decision) {
        observed.decided = label.target;
        Status status = Look(&observed.decision);
        return status.ok() ? Result<Observed>(std::move(observed)) : status;
      }
      if (!observed.cue && cue_s >= 0 && world_.time_s() >= cue_s) {
        if (Status status = Look(&observed.cue); !status.ok()) return status;
        observed.seen = label.target;
      }
      const Status stepped = world_.Step(action);
      if (stepped.code() == StatusCode::kDiverged) return observed;
      if (!stepped.ok()) return stepped;
      task_.Update(world_, *scenario);
      if (task_.Evaluate(world_, *scenario).done) return observed;
    }
    return observed;
  }

 private:
  Status Look(std::optional<ProbeSample>* out) {
    ProbeSample sample;
    for (const char* camera : kCameras) {
      Image image;
      Status status = renderer_.Render(world_, camera, image_size_, image_size_, &image);
      if (!status.ok()) return status;
      sample.images.push_back(std::move(image.rgb));
    }
    const Proprioception proprio = world_.Proprio();
    sample.proprio =
        ProprioVector(proprio.ee.position, proprio.ee.quaternion, proprio.gripper_width);
    *out = std::move(sample);
    return {};
  }

  const Task& task_;
  World& world_;
  Renderer& renderer_;
  int image_size_;
};

// All episodes, those to train on first.
Result<std::vector<Observed>> Observe(const Task& task, const std::string& delay,
                                      const ProbeOptions& options,
                                      const std::function<bool(int, int)>& progress) {
  const int total = options.train_episodes + options.held_out_episodes;
  std::vector<Observed> episodes(static_cast<size_t>(total));  // each written by who took it
  const auto begin = [&]() -> Result<Job> {
    Result<std::unique_ptr<World>> world = World::Load(task.scene());
    if (!world.ok()) return world.status();
    Result<std::unique_ptr<Renderer>> renderer =
        Renderer::Create((*world)->model(), options.image_size, options.image_size);
    if (!renderer.ok()) return renderer.status();
    return Job([&, world = std::shared_ptr<World>(*std::move(world)),
                renderer = std::shared_ptr<Renderer>(*std::move(renderer))](int i) -> Status {
      const bool train = i < options.train_episodes;
      const EpisodeKey key{train ? Split::kTrain : Split::kValidation, options.run_seed,
                           task.info().name, delay,
                           static_cast<uint64_t>(train ? i : i - options.train_episodes)};
      Result<Observed> observed = Observer(task, *world, *renderer, options.image_size).Run(key);
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
      o.decision.reset();
      o.cue.reset();
      continue;
    }
    o.decision->label = label;
    if (o.cue) o.cue->label = seen ? o.seen : o.cued;
  }
}

std::vector<ProbeSample> Samples(const std::vector<Observed>& episodes, size_t begin, size_t end,
                                 std::optional<ProbeSample> Observed::*which) {
  std::vector<ProbeSample> samples;
  for (size_t i = begin; i < end; ++i) {
    if (episodes[i].*which) samples.push_back(*(episodes[i].*which));
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
  for (const bool cue : {false, true}) {
    const auto which = cue ? &Observed::cue : &Observed::decision;
    const std::vector<ProbeSample> train = Samples(episodes, 0, half, which);
    const std::vector<ProbeSample> held_out = Samples(episodes, half, episodes.size(), which);
    const Result<int> right = CountRight(train, held_out, options);
    if (!right.ok()) return right.status();
    (cue ? result.cue_right : result.right) = *right;
    (cue ? result.cue_held_out : result.held_out) = static_cast<int>(held_out.size());
  }
  return result;
}

}  // namespace kvla

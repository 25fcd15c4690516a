// SPDX-License-Identifier: Apache-2.0
#include "harness/transplant/transplant_trial.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "harness/episode/policy_io.h"
#include "sim/specs.h"

namespace kvla {
namespace {

constexpr std::array kAnswers = {TransplantAnswer::kOwn, TransplantAnswer::kTwins,
                                 TransplantAnswer::kOther, TransplantAnswer::kNone,
                                 TransplantAnswer::kError};

// An episode and what it tells of its end.
struct Played {
  EpisodeRecorder recorder;
  std::unique_ptr<RunningEpisode> episode;
  bool ended = false;
};

class Trial {
 public:
  Trial(const TransplantPlan& plan, const EpisodeJob& job, const Task& task, EpisodeRunner* runner)
      : plan_(plan), job_(job), task_(task), runner_(*runner) {
    trial_.arm = plan.config.arms[static_cast<size_t>(job.arm)].name;
    trial_.task = job.task;
    trial_.delay = job.delay;
    trial_.seed = job.seed;
  }

  Result<TransplantTrial> Run() {
    if (Status s = Draw(); !s.ok()) return s;
    if (!trial_.skipped.empty()) return trial_;
    for (Played* played : {&alone_, &transplanted_, &control_, &twin_}) {
      if (Status s = Begin(played); !s.ok()) return s;
    }
    for (int i = 0; i < pause_; ++i) Step({&alone_, &transplanted_, &control_, &twin_});
    if (Status s = Transplant(); !s.ok()) return s;
    if (!trial_.skipped.empty()) return trial_;
    while (!alone_.ended || !transplanted_.ended || !control_.ended) {
      Step({&alone_, &transplanted_, &control_});
    }
    trial_.alone = AnswerOf(&alone_);
    trial_.transplanted = AnswerOf(&transplanted_);
    trial_.control = AnswerOf(&control_);
    return trial_;
  }

 private:
  // The two schedules, and with them the inference to pause before.
  Status Draw() {
    EpisodeKey key = SettingsOf(plan_.run, job_).key;
    for (Scenario* scenario : {&own_, &twins_}) {
      Result<Scenario> drawn = task_.Draw(key);
      if (!drawn.ok()) return drawn.status();
      *scenario = *std::move(drawn);
      key.twin = true;
    }
    if (own_.decision_s < 0 || own_.cues.empty()) {
      trial_.skipped = "no cue";
      return {};
    }
    if (own_.target == twins_.target) {
      return InternalError(
          fmt::format("{} {} {}: the twin has the same target", job_.task, job_.delay, job_.seed));
    }
    const int replan = plan_.run.policy.replan_steps;
    const double step = (own_.decision_s + plan_.config.offset_s) * kControlRateHz;
    pause_ = std::max(0, static_cast<int>(std::ceil(step / replan - 1e-6)));
    const CacheConfig& cache = plan_.run.caches[static_cast<size_t>(job_.arm)];
    left_ = cache.schedule().LeftChunks(pause_);
    for (const auto& [begin, end] : CueBlocks(own_.cues, replan, pause_)) {
      for (int block = begin; block < end; ++block) cue_.insert(block / cache.chunk_blocks);
    }
    for (const int chunk : std::set<int>(cue_)) {
      for (int i = 0; i <= plan_.config.after_chunks; ++i) all_.insert(std::min(chunk + i, left_));
    }
    if (cue_.empty() || *cue_.rbegin() >= left_) trial_.skipped = "a cue was in the window";
    all_.erase(left_);
    return {};
  }

  Status Begin(Played* played) {
    EpisodeJob job = job_;
    job.twin = played == &twin_;
    Result<std::unique_ptr<RunningEpisode>> episode = runner_.Begin(job, {}, &played->recorder);
    if (!episode.ok()) return episode.status();
    played->episode = *std::move(episode);
    return {};
  }

  // One inference of those that go on.
  void Step(const std::vector<Played*>& all) {
    std::vector<Played*> going;
    std::vector<RunningEpisode*> episodes;
    for (Played* played : all) {
      if (played->ended) continue;
      going.push_back(played);
      episodes.push_back(played->episode.get());
    }
    std::vector<bool> ended;
    runner_.Step(episodes, &ended);
    for (size_t i = 0; i < going.size(); ++i) going[i]->ended = ended[i];
  }

  Status Transplant() {
    if (alone_.ended || twin_.ended) {
      trial_.skipped = "it ended before the pause";
      return {};
    }
    const Session& twin = twin_.episode->session();
    const std::vector<int> theirs = twin.HeldChunks();
    const std::vector<int> ours = alone_.episode->session().HeldChunks();
    const auto held = [](const std::vector<int>& chunks, const std::set<int>& of) {
      return std::ranges::any_of(chunks, [&](int chunk) { return of.contains(chunk); });
    };
    if (!held(theirs, cue_) || !held(ours, cue_)) {
      trial_.skipped = "the method held nothing of a cue";
      return {};
    }
    const std::vector<int> chunks(all_.begin(), all_.end());
    trial_.taken = static_cast<int>(chunks.size());
    if (Status s = transplanted_.episode->session().TakeOverChunks(twin, chunks); !s.ok()) return s;
    std::vector<int> others;
    for (auto chunk = theirs.rbegin(); chunk != theirs.rend(); ++chunk) {
      if (others.size() < chunks.size() && !all_.contains(*chunk)) others.push_back(*chunk);
    }
    trial_.control_taken = static_cast<int>(others.size());
    return control_.episode->session().TakeOverChunks(twin, others);
  }

  // A twin's episode is the same but for what is right, and so is judged by its own schedule.
  TransplantAnswer AnswerOf(Played* played) {
    if (played->recorder.Take().end.outcome == "error") return TransplantAnswer::kError;
    const World& world = played->episode->world();
    const Progress own = task_.Evaluate(world, own_);
    if (own.decisive_right) return TransplantAnswer::kOwn;
    if (task_.Evaluate(world, twins_).decisive_right) return TransplantAnswer::kTwins;
    return own.decisive_reached ? TransplantAnswer::kOther : TransplantAnswer::kNone;
  }

  const TransplantPlan& plan_;
  const EpisodeJob& job_;
  const Task& task_;
  EpisodeRunner& runner_;
  TransplantTrial trial_;
  Scenario own_, twins_;
  int pause_ = 0;      // inferences before it
  int left_ = 0;       // chunks that have left the window by then
  std::set<int> cue_;  // chunks that saw a cue
  std::set<int> all_;  // that are taken over
  Played alone_, transplanted_, control_, twin_;
};

}  // namespace

std::string AnswerName(TransplantAnswer answer) {
  switch (answer) {
    case TransplantAnswer::kOwn:
      return "own";
    case TransplantAnswer::kTwins:
      return "twins";
    case TransplantAnswer::kOther:
      return "other";
    case TransplantAnswer::kNone:
      return "none";
    case TransplantAnswer::kError:
      return "error";
  }
  return "";
}

Result<TransplantAnswer> ParseAnswer(const std::string& name) {
  for (const TransplantAnswer answer : kAnswers) {
    if (AnswerName(answer) == name) return answer;
  }
  return BadInput(fmt::format("no answer is called '{}'", name));
}

Result<TransplantTrial> RunTransplantTrial(const TransplantPlan& plan, const EpisodeJob& job,
                                           const Task& task, EpisodeRunner* runner) {
  return Trial(plan, job, task, runner).Run();
}

}  // namespace kvla

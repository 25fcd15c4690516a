#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "apps/commands.h"
#include "base/config_io.h"
#include "base/split.h"
#include "base/text.h"
#include "harness/runner.h"
#include "kv_efficient/plan.h"
#include "results/command_queue.h"
#include "tasks/task_list.h"
#include "viewer/viewer.h"

namespace kvla {
namespace {

// How many seeds "next seed" goes through before it starts again.
constexpr int kSeeds = 64;
// Enough that a reader at 20 frames/s misses nothing of an episode that goes as fast as it can.
constexpr size_t kRingEvents = 4096;
constexpr size_t kRingImages = 256;

struct ViewFlags {
  std::string config, task, delay, arm, screenshot;
  std::vector<std::string> overrides;
  std::optional<int> seed, frames;
  std::optional<double> after_s, speed;
  int width = 1280, height = 720;
  bool light = false;
};

// The arm to show: the named one; else the gated one, which has most to show; else the first.
Result<RunArm> PickArm(const RunConfig& config, const std::string& name) {
  std::vector<std::string> names;
  for (const RunArm& arm : config.arms) {
    if (arm.name == name) return arm;
    names.push_back(arm.name);
  }
  if (!name.empty()) {
    return BadInput(fmt::format("--arm {}: the config has no such arm, only {}{}", name,
                                Join(names, ", "), DidYouMean(name, names)));
  }
  for (const RunArm& arm : config.arms) {
    if (arm.cache.policy == "gated") return arm;
  }
  if (config.arms.empty()) return BadInput("'arms' is empty: nothing to show");
  return config.arms.front();
}

// Narrows a run's config down to one arm and one task at one delay.
Status Narrow(const ViewFlags& flags, RunConfig* config) {
  Result<RunArm> arm = PickArm(*config, flags.arm);
  if (!arm.ok()) return arm.status();
  config->arms = {*std::move(arm)};
  if (!flags.task.empty()) {
    std::vector<RunTask> kept;
    for (const RunTask& task : config->tasks) {
      if (task.name == flags.task) kept.push_back(task);
    }
    if (kept.empty()) kept.push_back({flags.task, {}});  // not of this run, yet of this program
    config->tasks = std::move(kept);
  }
  if (config->tasks.size() > 1) config->tasks.resize(1);
  if (!flags.delay.empty()) {
    for (RunTask& task : config->tasks) task.delays = {flags.delay};
  }
  if (flags.seed.has_value()) config->first_episode = *flags.seed;
  config->episodes = kSeeds;
  return {};
}

// The jobs of the first delay: one a seed.
std::vector<EpisodeJob> SeedsOf(const RunPlan& plan) {
  std::vector<EpisodeJob> jobs;
  for (const EpisodeJob& job : plan.jobs) {
    if (job.delay == plan.jobs.front().delay) jobs.push_back(job);
  }
  return jobs;
}

// Runs episodes on a thread of its own, as the gate lets them; tells the ring and nobody else.
class LiveRun {
 public:
  LiveRun(std::unique_ptr<EpisodeRunner> runner, std::vector<EpisodeJob> jobs, StepGate* gate,
          StepGate::Verdict* verdict, TraceSink* sink)
      : thread_([this, runner = std::move(runner), jobs = std::move(jobs), gate, verdict,
                 sink]() mutable {
          size_t at = 0;
          while (true) {
            *verdict = StepGate::Verdict::kGo;
            const Status status = runner->Run(jobs[at], sink);
            if (!status.ok()) {
              std::lock_guard<std::mutex> lock(mutex_);
              status_ = status;
              break;
            }
            if (*verdict == StepGate::Verdict::kGo) *verdict = gate->AfterEpisode();
            if (*verdict == StepGate::Verdict::kQuit) break;
            if (*verdict == StepGate::Verdict::kNext) at = (at + 1) % jobs.size();
          }
          runner.reset();  // its GL context belongs to this thread
          alive_ = false;
        }) {}
  ~LiveRun() { Join(); }

  void Join() {
    if (thread_.joinable()) thread_.join();
  }
  bool alive() const { return alive_; }
  Status status() const {
    std::lock_guard<std::mutex> lock(mutex_);
    return status_;
  }

 private:
  mutable std::mutex mutex_;
  Status status_;
  std::atomic<bool> alive_{true};
  std::thread thread_;
};

// The lamps and other colours of an episode, from what its trace says.
SceneDressing DressingOf(const EpisodeBegin& begin, const std::filesystem::path& asset_root) {
  Result<std::unique_ptr<Task>> made = MakeTask(begin.id.task, asset_root);
  if (!made.ok()) return {};
  std::shared_ptr<const Task> task = *std::move(made);
  const Result<Split> split = ParseSplit(begin.split);
  if (!split.ok()) return {};
  const Result<Scenario> scenario =
      task->Draw({*split, begin.run_seed, begin.id.task, begin.id.delay,
                  static_cast<uint64_t>(begin.id.seed)});
  if (!scenario.ok()) return {};
  return [task, scenario = *scenario](World& world) { task->Update(world, scenario); };
}

ViewerHooks HooksOf(const RunPlan& plan, const BoundedTraceRing* ring) {
  ViewerHooks hooks;
  hooks.asset_root = plan.asset_root;
  hooks.dressing = [root = plan.asset_root](const EpisodeBegin& begin) {
    return DressingOf(begin, root);
  };
  const CacheConfig& cache = plan.caches.front();
  if (cache.policy == "gated") {
    hooks.threshold = [threshold = cache.threshold](const EpisodeBegin&) {
      return std::optional<double>(threshold);
    };
  }
  hooks.reason = [](uint8_t code) {
    return std::string(ReasonText(static_cast<ReasonCode>(code)));
  };
  hooks.counts = [ring] { return ring->counts(); };
  return hooks;
}

int RunView(const AppContext& context, const ViewFlags& flags) {
  RunConfig config;
  if (Status status = LoadConfigFile(flags.config, flags.overrides, &config); !status.ok()) {
    return ReportStatus(status);
  }
  if (Status status = Narrow(flags, &config); !status.ok()) return ReportStatus(status);
  const Result<RunPlan> plan = PlanRun(config, context.asset_root);
  if (!plan.ok()) return ReportStatus(plan.status());

  const bool picture = !flags.screenshot.empty();
  BoundedTraceRing ring(kRingEvents, kRingImages);
  CommandQueue commands;
  WindowOptions window;
  window.title = fmt::format("kvla: {}", config.arms.front().name);
  window.width = flags.width;
  window.height = flags.height;
  window.light = flags.light;
  window.vsync = !picture;
  Result<std::unique_ptr<Viewer>> viewer =
      Viewer::Create(&ring, &commands, HooksOf(*plan, &ring), window);
  if (!viewer.ok()) return ReportStatus(viewer.status());
  const double speed = flags.speed.value_or(picture ? 0 : 1);
  (*viewer)->state().speed = speed;
  (*viewer)->Frame();  // something to look at while the policy is loaded

  StepGate gate(&commands, kControlPeriod, speed);
  StepGate::Verdict verdict = StepGate::Verdict::kGo;  // of the runner's thread
  EpisodeRunner::Options options;
  options.steps = options.states = options.images = true;
  options.before_step = [&gate, &verdict](bool inference_due) {
    verdict = gate.BeforeStep(inference_due);
    return verdict == StepGate::Verdict::kGo ? StepVerdict::kGo : StepVerdict::kStop;
  };
  Result<std::unique_ptr<EpisodeRunner>> runner = EpisodeRunner::Create(*plan, options);
  if (!runner.ok()) return ReportStatus(runner.status());

  const std::atomic<bool>* interrupted = CatchInterrupts();
  LiveRun live(*std::move(runner), SeedsOf(*plan), &gate, &verdict, &ring);
  Status status;
  if (picture) {
    const ScreenshotPlan shot{flags.screenshot, flags.after_s, flags.frames};
    status = (*viewer)->Screenshot(shot, [&] { return live.alive() && !*interrupted; });
  } else {
    (*viewer)->Run([&] { return live.alive() && !*interrupted; });
  }
  commands.Push({ViewerCommandKind::kQuit});
  live.Join();
  if (!live.status().ok()) return ReportStatus(live.status());
  if (*interrupted) return kExitInterrupted;
  return ReportStatus(status);
}

}  // namespace

CLI::App* AddView(CLI::App& parent, const AppContext& context, int* exit_code) {
  auto flags = std::make_shared<ViewFlags>();
  CLI::App* command = parent.add_subcommand("view", "Watch a live episode and its cache");
  command->add_option("config", flags->config, "YAML file of a run, as for eval")->required();
  command->add_option("--task", flags->task, "Task; else the first of the config");
  command->add_option("--delay", flags->delay, "Delay; else the first of the task");
  command->add_option("--arm", flags->arm, "Arm; else the gated one, else the first");
  command->add_option("--seed", flags->seed, "Index of the episode; else the config's first")
      ->check(CLI::Range(0, 1000000000));
  command->add_option("--set", flags->overrides, "Override: key.sub=value (repeatable)")
      ->allow_extra_args(false);
  command
      ->add_option("--speed", flags->speed,
                   "Times real time, 0: as fast as it goes; else 1, with --screenshot 0")
      ->check(CLI::Range(0.0, 1000.0));
  CLI::Option* screenshot =
      command->add_option("--screenshot", flags->screenshot, "Write this PNG file and exit");
  CLI::Option* after =
      command->add_option("--after", flags->after_s, "Take it so many seconds into the episode");
  after->check(CLI::Range(0.0, 100000.0))->needs(screenshot);
  command->add_option("--frames", flags->frames, "Take it after so many frames of the window")
      ->check(CLI::Range(1, 1000000))
      ->needs(screenshot)
      ->excludes(after);
  command->add_option("--width", flags->width, "Of the window, pixels")
      ->check(CLI::Range(640, 7680))
      ->capture_default_str();
  command->add_option("--height", flags->height, "Of the window, pixels")
      ->check(CLI::Range(400, 4320))
      ->capture_default_str();
  command->add_flag("--light", flags->light, "Light theme");
  command->callback([flags, &context, exit_code] { *exit_code = RunView(context, *flags); });
  return command;
}

}  // namespace kvla

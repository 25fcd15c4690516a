// SPDX-License-Identifier: Apache-2.0
#include "harness/eval/measuring_conditions.h"

#include <fmt/format.h>
#include <mujoco/mujoco.h>

#include <algorithm>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "base/machine.h"
#include "base/text.h"
#include "base/version.h"
#include "harness/episode/suite_options.h"
#include "kv_efficient/cost_model.h"
#include "kv_efficient/methods/method_table.h"
#include "results/report/comparable.h"
#include "sim/specs.h"
#include "tasks/task_list.h"
#include "tensors/torch_version.h"

namespace kvla {
namespace {

using nlohmann::json;

class Section {
 public:
  explicit Section(const char* title) : title_(title) {}
  Section& Add(const std::string& what, const std::string& value) {
    if (!value.empty()) items_.push_back(json::array({what, value}));
    return *this;
  }
  json Take() { return {{"title", title_}, {"items", std::move(items_)}}; }

 private:
  std::string title_;
  json items_ = json::array();
};

// The longest episode of a task, in control steps.
int LongestOf(const RunPlan& plan, const std::string& task) {
  int longest = 0;
  for (const EpisodeJob& job : plan.jobs) {
    if (job.task == task) longest = std::max(longest, job.horizon_steps);
  }
  return longest;
}

json Tasks(const RunPlan& plan) {
  Section section("Tasks");
  for (const RunTask& run_task : plan.config.tasks) {
    const Result<std::unique_ptr<Task>> task =
        MakeTask(run_task.name, plan.asset_root, plan.config.suite);
    if (!task.ok()) continue;
    const TaskInfo& info = (*task)->info();
    std::string stages;
    for (const StageInfo& stage : info.stages) {
      stages += (stages.empty() ? "" : ", ") + stage.name +
                (stage.kind == StageKind::kDecisive ? " (decisive)" : "");
    }
    const int longest = LongestOf(plan, info.name);
    section.Add(info.name + ": success", info.success_rule)
        .Add(info.name + ": stages", stages)
        .Add(info.name + ": chance of the decisive stage",
             info.chance > 0 ? fmt::format("{:.1f}%", 100 * info.chance) : "no memory needed")
        .Add(info.name + ": horizon",
             fmt::format("up to {} control steps ({:.1f} s)", longest, longest / kControlRateHz));
  }
  return section.Take();
}

std::string Clocks(const RunPlan& plan) {
  std::vector<std::string> parts;
  for (const RunArm& arm : plan.config.arms) {
    parts.push_back(arm.name + ": " + arm.clock.kind +
                    (arm.clock.kind == "frozen" ? ""
                                                : fmt::format(" at {:g} control steps a second",
                                                              arm.clock.control_rate_hz)));
  }
  return Join(parts, "; ");
}

// What the cost model's clock stands for: the regime in which its latencies hold.
json CostModelClock(const RunPlan& plan) {
  const VlaCost& vla = plan.config.vla;
  const auto at = [&](int blocks) {
    const double tokens = static_cast<double>(blocks) * vla.tokens_per_block;
    return fmt::format("{:.0f} tokens, {:.2f} GB of keys and values", tokens,
                       KvBytes(vla, tokens) / 1e9);
  };
  Section section("Clock (latency: cost_model)");
  section
      .Add("weights of the decoder", fmt::format("{:.2f} GB, read in each pass of an inference "
                                                 "({} of one token after the block's)",
                                                 WeightBytes(vla) / 1e9, vla.decode_passes))
      .Add("device", fmt::format("{:g} TFLOP/s, {:g} GB/s", vla.tflops, vla.gbytes_per_s))
      .Add("a frame block", at(1))
      .Add("context at most (longest episode, everything kept)", at(plan.max_blocks));
  for (size_t i = 0; i < plan.caches.size(); ++i) {
    const RunArm& arm = plan.config.arms[i];
    if (arm.clock.kind != "simulated" || arm.clock.latency != "cost_model") continue;
    const CacheConfig& cache = plan.caches[i];
    const CacheMethod* method = FindCacheMethod(cache.policy);
    if (method == nullptr || method->keeps_all) continue;
    section.Add(arm.name + ": window while attending, at most",
                at(std::min(plan.max_blocks, cache.window_blocks + cache.chunk_blocks)));
  }
  return section.Take();
}

json PolicyCard(const RunPlan& plan) {
  Section section("Policy");
  for (const auto& [what, value] : plan.policy_card) section.Add(what, value);
  return section.Take();
}

bool HasCostModelClock(const RunPlan& plan) {
  return std::any_of(plan.config.arms.begin(), plan.config.arms.end(), [](const RunArm& arm) {
    return arm.clock.kind == "simulated" && arm.clock.latency == "cost_model";
  });
}

}  // namespace

json MeasuringConditionsOf(const RunPlan& plan, const RunMeta& facts) {
  const RunConfig& config = plan.config;
  const PolicySpec& policy = plan.policy;
  std::vector<std::string> cameras, sizes;
  for (const PolicyCamera& camera : policy.cameras) {
    cameras.push_back(camera.name);
    const std::string size = fmt::format("{}x{}", camera.width, camera.height);
    if (std::find(sizes.begin(), sizes.end(), size) == sizes.end()) sizes.push_back(size);
  }
  json out = json::array({Tasks(plan)});
  out.push_back(Section("Episodes")
                    .Add("split", config.split + " (part of every random stream's key)")
                    .Add("run seed", std::to_string(config.seed))
                    .Add("seeds", fmt::format("{} to {}", config.first_episode,
                                              config.first_episode + config.episodes - 1))
                    .Add("instructions", config.instructions)
                    .Add("disturbance", config.disturbance)
                    .Add("suite", SuiteText(config.suite))
                    .Add("clock", Clocks(plan))
                    .Add("errors", "an outcome of their own: in no rate, never dropped")
                    .Take());
  if (!plan.policy_card.empty()) out.push_back(PolicyCard(plan));
  if (HasCostModelClock(plan)) out.push_back(CostModelClock(plan));
  out.push_back(
      Section("Control")
          .Add("control rate", fmt::format("{:g} Hz of simulated time", kControlRateHz))
          .Add("physics", fmt::format("{:g} ms a step, {} steps a control step",
                                      1000 * kPhysicsTimestep, kSubsteps))
          .Add("replan interval",
               fmt::format("{} control steps: one inference every {:g} s", policy.replan_steps,
                           policy.replan_steps * kControlPeriod))
          .Add("action", fmt::format("[dx dy dz rx ry rz grip] in [-1, 1]: deltas of the end "
                                     "effector in the world frame, 1 = {:g} m, {:g} rad (rotation "
                                     "vector); grip -1 opens, +1 closes",
                                     kMaxDeltaPosition, kMaxDeltaRotation))
          .Take());
  out.push_back(Section("Observation")
                    .Add("cameras", Join(cameras, ", "))
                    .Add("images", fmt::format("{} pixels, RGB8, row 0 on top", Join(sizes, ", ")))
                    .Add("frames", "metres; world: x away from the robot, y to its left, z up")
                    .Add("rotations", "quaternions as w x y z")
                    .Take());
  const MachineFacts machine = ReadMachineFacts();
  const std::string why_not = WhyNotComparable(std::span(&facts, 1));
  out.push_back(Section("Versions and machine")
                    .Add("kvla", std::string(Version()) + " (" + std::string(GitCommit()) + ")")
                    .Add("MuJoCo", mj_versionString())
                    .Add("LibTorch", TorchVersion())
                    .Add("system", machine.os)
                    .Add("CPU", facts.at("cpu"))
                    .Add("CPU kernels", facts.at("cpu_kernels"))
                    .Add("GPUs", Join(machine.gpus, ", "))
                    .Add("NVIDIA driver", machine.nvidia_driver)
                    .Add("policy runs on", config.device)
                    .Add("workers", facts.at("workers"))
                    .Add("episodes a worker steps at a time", facts.at("batch"))
                    .Add("latencies", why_not.empty() ? "comparable" : "not comparable: " + why_not)
                    .Take());
  return out;
}

}  // namespace kvla

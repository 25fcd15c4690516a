// SPDX-License-Identifier: Apache-2.0
// What the trainers of gates start from: a policy that no longer learns, and demonstrations as it
// reads them. Includes torch.
#ifndef KVLA_POLICY_COMPACT_GATE_FROZEN_POLICY_H_
#define KVLA_POLICY_COMPACT_GATE_FROZEN_POLICY_H_

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "base/writer_lock.h"
#include "policy/compact/checkpoint.h"
#include "policy/compact/gate/gate_train_setup.h"
#include "policy/compact/text/instruction_reader.h"
#include "policy/compact/training/demo_source.h"
#include "policy/compact/training/parallel_torch_jobs.h"
#include "policy/compact/training/train.h"
#include "tensors/torch.h"

namespace kvla {

struct FrozenPolicy {
  Checkpoint checkpoint;  // the net as it acts, without gradients
  std::string hash;       // CheckpointHash()
  InstructionReader reader;
};

Result<FrozenPolicy> LoadFrozenPolicy(const std::filesystem::path& folder,
                                      const std::filesystem::path& text_encoder);

// How every training of a gate begins: LibTorch's seed and threads set, the policy loaded, the file
// to write locked for as long as what is returned lives. BadInput before the long work where the
// file cannot be written, or is there and was made with other settings (`printed`: the whole
// config).
Result<WriterLock> BeginGateTraining(const GateTrainSetup& setup, const std::string& printed,
                                     const TrainHooks& hooks, std::optional<FrozenPolicy>* policy);

struct FrozenDemo {
  DemoEpisode episode;
  torch::Tensor instruction;  // as read
  int number = 0, of = 0;     // of those that the pass reads
};

// What was seen and done, without images and without any word of what it was about: no cue, no
// decision, no target, place or waypoint. What is trained on it cannot have read a label.
DemoEpisode Unlabelled(const DemoEpisode& episode);

// One walk through a set of demonstrations.
struct DemoPass {
  const char* phase = "";  // for progress
  std::string task{};      // only this task's; empty: all
  int episodes = 0;        // at most, spread over the whole set: its order follows task and delay
  int threads = 1;
};

// Hands them over in groups, in order. kCancelled once hooks.stop is set.
Status ReadDemos(FrozenPolicy& policy, DemoSource& source, const DemoPass& pass,
                 const TrainHooks& hooks,
                 const std::function<Status(const std::vector<FrozenDemo>&)>& group);

// What `work` makes of each, in order; it is called side by side (RunParallelTorchJobs).
template <class T>
Status MapDemos(FrozenPolicy& policy, DemoSource& source, const DemoPass& pass,
                const TrainHooks& hooks, const std::function<Result<T>(const FrozenDemo&)>& work,
                std::vector<T>* out) {
  return ReadDemos(policy, source, pass, hooks,
                   [&](const std::vector<FrozenDemo>& group) -> Status {
                     std::vector<std::optional<Result<T>>> made(group.size());
                     RunParallelTorchJobs(group.size(), pass.threads,
                                          [&](size_t i) { made[i] = work(group[i]); });
                     for (std::optional<Result<T>>& one : made) {
                       if (!one->ok()) return one->status();
                       out->push_back(**std::move(one));
                     }
                     return {};
                   });
}

// That this process has used so far, over all threads.
double CpuMinutes();

}  // namespace kvla

#endif  // KVLA_POLICY_COMPACT_GATE_FROZEN_POLICY_H_

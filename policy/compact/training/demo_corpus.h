// SPDX-License-Identifier: Apache-2.0
// Demonstrations in memory, and which of them a training step looks at.
#ifndef KVLA_POLICY_COMPACT_TRAINING_DEMO_CORPUS_H_
#define KVLA_POLICY_COMPACT_TRAINING_DEMO_CORPUS_H_

#include <atomic>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/rng.h"
#include "base/status.h"
#include "policy/compact/policy_config.h"
#include "policy/compact/training/demo_source.h"

namespace kvla {

class DemoCorpus {
 public:
  // What the samples of one step have in common: the instruction, or nothing: each step then mixes
  // the tasks.
  enum class Mix { kOneInstruction, kTasks };

  // May change an episode before it is kept; images that it leaves are kept packed.
  using OnRead = std::function<void(DemoEpisode&)>;

  // BadInput when there are none, or one is not for a policy of these sizes (CheckDemo());
  // kCancelled once `stop` is set.
  static Result<DemoCorpus> Read(DemoSource& source, const PolicyConfig& config,
                                 const std::atomic<bool>* stop, const OnRead& on_read = {});

  // To be called before drawing. `emphasis`: tasks or instructions that count double for each time
  // that they are named.
  void GroupBy(Mix mix, const std::vector<std::string>& emphasis = {});
  // The groups of a step's samples, drawn with the square root of their blocks as weights. Under
  // kTasks evenly spaced through the weights, so that every task whose share is 1 / samples or more
  // is in every step.
  std::vector<std::string> DrawGroups(int samples, Rng& rng) const;
  // An episode of a group: an instruction, all alike, then one of its episodes, all alike.
  const DemoEpisode& DrawEpisode(const std::string& group, Rng& rng) const;

  const std::vector<DemoEpisode>& episodes() const { return episodes_; }

 private:
  struct Group {
    double weight = 0;
    std::map<std::string, std::vector<int>> by_instruction;
  };

  std::vector<DemoEpisode> episodes_;
  Mix mix_ = Mix::kOneInstruction;
  std::map<std::string, Group> groups_;
};

}  // namespace kvla

#endif  // KVLA_POLICY_COMPACT_TRAINING_DEMO_CORPUS_H_

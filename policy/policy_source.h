// SPDX-License-Identifier: Apache-2.0
// Where a run's policy comes from: a checkpoint's folder, or a published architecture's sizes with
// random weights. No torch.
#ifndef KVLA_POLICY_POLICY_SOURCE_H_
#define KVLA_POLICY_POLICY_SOURCE_H_

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "base/config_fields.h"
#include "policy/adapter.h"
#include "policy/policy.h"

namespace kvla {

// "none", then the published architectures that may stand without a checkpoint.
std::vector<std::string> BackboneShapes();

// The block `backbone:` of a run.
struct BackboneConfig {
  std::string shape = "none";
  std::string weights = "checkpoint";
  int layers = 0;
  int seed = 0;
  int age_clamp_blocks = 24;

  template <class V>
  void Fields(V& v) {
    v("shape", shape, OneOf(BackboneShapes()),
      "without a checkpoint: a published policy of its true sizes, for what it costs");
    v("weights", weights, OneOf{"checkpoint", "random"}, "random: of a shape, which needs them");
    v("layers", layers, Range{0, 1000}, "most layers of each of a shape's towers, 0: all");
    v("seed", seed, Range{0, 1000000000}, "of a shape's random weights");
    v("age_clamp_blocks", age_clamp_blocks, Range{0, 4096},
      "rotary distance, in inferences, of what left the window of a published policy with history; "
      "0: its true one");
  }
};

struct PolicySource {
  std::filesystem::path checkpoint;  // a folder; empty: the shape alone
  BackboneConfig backbone;
  AdapterConfig adapter;
  RobotConventions robot;
  std::filesystem::path asset_root;  // below it lies what set-up brings: tokenizers, text encoders
  std::string device = "cpu";
};

// What is known of a policy before its weights are there.
struct PolicyDescription {
  PolicySpec spec;
  bool random_weights = false;  // nobody trained it: its costs are true, its success means nothing
  // What a reader of its results is told of it, in order: what, value.
  std::vector<std::pair<std::string, std::string>> card{};
};

}  // namespace kvla

#endif  // KVLA_POLICY_POLICY_SOURCE_H_

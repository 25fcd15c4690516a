// SPDX-License-Identifier: Apache-2.0
// Lets a policy act in stretches of a demonstration, so that its own mistakes are shown the way
// back (DAgger: Ross et al., arXiv 1011.0686). The labels stay the expert's.
#ifndef KVLA_HARNESS_DEMOS_DEMO_DRIVER_H_
#define KVLA_HARNESS_DEMOS_DEMO_DRIVER_H_

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/config_fields.h"
#include "base/rng.h"
#include "base/status.h"
#include "harness/episode/policy_io.h"
#include "policy/policy.h"
#include "sim/renderer.h"
#include "sim/specs.h"
#include "sim/world.h"

namespace kvla {

// How a policy takes part.
struct DriverShare {
  double share = 0.6;
  int span_blocks = 12;
  bool keep_failed = false;
  std::string cache = "full";

  template <class V>
  void Fields(V& v) {
    v("share", share, Range{0.0, 1.0}, "share of an episode that the policy acts in");
    v("span_blocks", span_blocks, Range{1, 1000}, "inferences of a stretch, on average");
    v("keep_failed", keep_failed,
      "keep episodes that end in a mistake: the expert's labels hold up to it");
    v("cache", cache, OneOf{"full", "window", "recompute"}, "cache method under which it acts");
  }
};

struct DemoDriverConfig : DriverShare {
  std::string checkpoint;

  template <class V>
  void Fields(V& v) {
    v("checkpoint", checkpoint, "policy that acts in stretches; empty: the expert alone");
    DriverShare::Fields(v);
  }
};

// For one thread.
class DemoDriver {
 public:
  // BadInput where the policy reads other cameras or images than are recorded.
  static Result<std::unique_ptr<DemoDriver>> Create(const DemoDriverConfig& config,
                                                    const std::filesystem::path& asset_root,
                                                    const std::vector<std::string>& cameras,
                                                    int image_size, int replan_steps);

  // `rng` says who acts when.
  Status Begin(const std::string& instruction, Rng rng);
  // At an inference: what the policy sees, and who acts until the next one.
  Status See(const std::vector<Image>& images, const Proprioception& proprio);
  bool acts() const { return acts_; }
  // The policy's next action. REQUIRES: acts().
  Action Next(const Pose& ee) { return chunk_.Next(ee); }

 private:
  DemoDriver() = default;

  DemoDriverConfig config_;
  std::unique_ptr<Policy> policy_;
  std::unique_ptr<Session> session_;
  Rng rng_{0};
  bool acts_ = false;
  ActionChunk chunk_;
};

}  // namespace kvla

#endif  // KVLA_HARNESS_DEMOS_DEMO_DRIVER_H_

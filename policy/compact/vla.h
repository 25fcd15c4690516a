// SPDX-License-Identifier: Apache-2.0
// The vision-language-action policy at run time: one observation in, one action chunk out.
#ifndef KVLA_POLICY_COMPACT_VLA_H_
#define KVLA_POLICY_COMPACT_VLA_H_

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/chunk_decision.h"
#include "base/inference_cost.h"
#include "base/status.h"
#include "base/stopwatch.h"
#include "kv_efficient/methods/cache_config.h"
#include "policy/compact/policy_config.h"
#include "policy/dimensions.h"

namespace kvla {

// What the policy sees at one inference.
struct FrameInput {
  // One per camera of the policy's config, in its order: RGB8, row 0 at the top,
  // [image_size, image_size, 3].
  std::vector<std::span<const uint8_t>> images;
  std::array<float, kProprioDim> proprio{};
};

// What one episode tells its policy before the first inference.
struct EpisodeContext {
  std::string instruction;
  uint64_t stream_key = 0;  // keys the random draws of a cache method
  // Inferences that see the cue, half-open [begin, end). Privileged: it reaches the cache only
  // under a method that declares that it needs it (`oracle`).
  std::vector<std::pair<int, int>> cue_blocks{};
};

// One action chunk and what it cost.
struct Inference {
  // [replan_steps]: target position minus end-effector position at the inference [m], rotation
  // vector relative to gripper-down [rad], gripper in [-1, 1].
  std::vector<std::array<float, kTargetDim>> targets;
  InferenceCost cost;                  // all but what rendering took
  std::vector<ChunkDecision> changes;  // decisions made at this inference
  // [layers, 1 + chunks], see KvCache::received(); empty unless Vla::ReportAttention.
  std::vector<float> attention;
};

// A loaded checkpoint with one cache method inside its attention. Not thread-safe; one instance a
// worker, reused over episodes.
class Vla {
 public:
  struct Options {
    std::filesystem::path checkpoint;    // folder with config.yaml and model.safetensors
    std::filesystem::path text_encoder;  // folder of the sentence encoder, for text: minilm
    CacheConfig cache;
    std::string device = "cpu";  // "cpu" or "cuda"
    int threads = 1;             // LibTorch threads an operation; process-wide
    int max_blocks = 512;        // capacity: the longest episode, in inferences
    MsClock clock = SteadyMs;    // of the times that an inference says it took
  };

  // BadInput when the checkpoint is missing, truncated or partial, the cache settings contradict
  // each other, or the device is not there.
  static Result<std::unique_ptr<Vla>> Load(const Options& options);
  ~Vla();

  // Forgets the last episode entirely, then reads the instruction into the cache.
  Status BeginEpisode(const EpisodeContext& context);
  // REQUIRES: BeginEpisode was called.
  Result<Inference> Infer(const FrameInput& input);

  // Changes the retention rule of the cache from its next decision on; the episode is then not
  // comparable with others.
  void SetRetention(double threshold, int budget_chunks);
  // Inferences say what each chunk receives of the attention, for people who watch.
  void ReportAttention(bool on);

  const PolicyConfig& config() const;
  int instruction_tokens() const;  // of the current episode

 private:
  struct Impl;
  explicit Vla(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace kvla

#endif  // KVLA_POLICY_COMPACT_VLA_H_

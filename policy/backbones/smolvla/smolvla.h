// SPDX-License-Identifier: Apache-2.0
// SmolVLA as LeRobot publishes it: images, a prompt and the robot's state to a chunk of actions.
// torch.
#ifndef KVLA_POLICY_BACKBONES_SMOLVLA_SMOLVLA_H_
#define KVLA_POLICY_BACKBONES_SMOLVLA_SMOLVLA_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "base/stopwatch.h"
#include "kv_efficient/cache_geometry.h"
#include "policy/backbones/prefix_attention.h"
#include "policy/backbones/processors.h"
#include "policy/backbones/smolvla/action_expert.h"
#include "policy/backbones/smolvla/smolvla_config.h"
#include "policy/backbones/stages.h"
#include "policy/backbones/vision_tower.h"
#include "policy/language/byte_pair.h"

namespace kvla {

struct SmolVlaInput {
  // One a camera of the config, in its order: u8 [height, width, 3] of any size, row 0 at the top.
  // Undefined: that camera is not there, and has no tokens; one is.
  std::vector<at::Tensor> images;
  at::Tensor state;             // f32 [state], in the robot's own units
  std::vector<int64_t> prompt;  // token ids, without padding
  at::Tensor noise;             // f32 [chunk, max_action], standard normal
};

// Milliseconds of an inference by part, attention included.
struct SmolVlaTimes {
  double encode_ms = 0;  // images, prompt and state to the prefix
  double prefix_ms = 0;  // the language model's layers
  double act_ms = 0;     // the Euler steps
};

// Who wants them, and by which clock.
struct SmolVlaTimer {
  MsClock clock = SteadyMs;
  SmolVlaTimes* times = nullptr;
};

// Of a cache that keeps the prefixes of earlier inferences (HistoryPrefix), at most `inferences` of
// them: the current one lies at positions 0 .. P-1, as in the published model, an earlier one P
// positions before the one that follows it, and one that has left the window at `age_clamp`
// prefixes' distance (0: its true one).
CacheGeometry HistoryGeometryOf(const SmolVlaConfig& config, int images, int prompt, int inferences,
                                int age_clamp);

// Immutable, so any number of threads may ask it. Computes in f32, whatever type the file has.
class SmolVla {
 public:
  // A folder as LeRobot's save_pretrained() writes it: config.json, the weights (one file, or
  // shards with their index), both processors with their statistics. BadInput names the file, and
  // the key or tensor in it, that is missing, too much or not as the others say.
  static Result<std::unique_ptr<SmolVla>> Load(const std::filesystem::path& folder);

  // Weights that nobody trained (NamedWeights), for what they cost; states and actions are taken as
  // they are.
  static Result<std::unique_ptr<SmolVla>> Random(SmolVlaConfig config, uint64_t seed);

  const SmolVlaConfig& config() const { return config_; }
  const Processors& processors() const { return processors_; }
  int64_t parameters() const { return parameters_; }

  // Of a cache that takes one prefix of so many images and prompt tokens (CachedPrefix).
  CacheGeometry Geometry(int images, int prompt) const;

  // HistoryGeometryOf() its config.
  CacheGeometry HistoryGeometry(int images, int prompt, int inferences, int age_clamp) const;

  // Ids of an instruction as the pre-processor makes them: a newline behind it, cut to the longest
  // that it takes.
  std::vector<int64_t> PromptIds(const BytePair& tokenizer, std::string_view instruction) const;

  // -> [chunk, action] in the robot's own units: one prefix into `prefix`, then the
  // Euler steps of the expert over it. BadInput: the input does not fit the config.
  Result<at::Tensor> Actions(const SmolVlaInput& input, PrefixAttention* prefix,
                             const StageFn& stage = {}, const SmolVlaTimer& timer = {}) const;
  // With nothing kept.
  Result<at::Tensor> Actions(const SmolVlaInput& input) const;

 private:
  SmolVla(SmolVlaConfig config, Processors processors, NamedWeights* weights);

  Status CheckInput(const SmolVlaInput& input) const;
  // [tokens, hidden] of images, prompt and state, in this order.
  at::Tensor Embedded(const SmolVlaInput& input, const StageFn& stage) const;
  // Through the language model's layers, whose keys and values `prefix` takes.
  void RunPrefix(at::Tensor x, PrefixAttention* prefix, const StageFn& stage) const;
  at::Tensor Denoised(const at::Tensor& noise, int prefix_tokens, PrefixAttention* prefix,
                      const StageFn& stage) const;

  SmolVlaConfig config_;
  Processors processors_;
  std::shared_ptr<const RotaryTable> rotary_;
  VisionTower vision_;
  LinearMap connector_, state_;
  at::Tensor embeddings_;  // [vocabulary, hidden]
  std::vector<LlamaLayer> layers_;
  at::Tensor norm_;
  ActionExpert expert_;
  int64_t parameters_ = 0;
};

}  // namespace kvla

#endif  // KVLA_POLICY_BACKBONES_SMOLVLA_SMOLVLA_H_

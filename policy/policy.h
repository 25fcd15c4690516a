// SPDX-License-Identifier: Apache-2.0
// What drives the robot, as everyone but its own folder sees it. No torch.
//
// A policy's weights are loaded once; an episode under one arm is a session of it: its instruction
// and its cache. Infer() takes the sessions that are due, so that one pass serves many episodes.
#ifndef KVLA_POLICY_POLICY_H_
#define KVLA_POLICY_POLICY_H_

#include <array>
#include <cstdint>
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
#include "kv_efficient/cache_geometry.h"
#include "kv_efficient/methods/cache_config.h"
#include "policy/dimensions.h"

namespace kvla {

struct PolicyCamera {
  std::string name;  // of the scene
  int width = 0, height = 0;
};

// What loop, results and viewer read of a policy.
struct PolicySpec {
  std::vector<PolicyCamera> cameras;  // in the order of FrameInput::images
  int replan_steps = 0;               // control steps an action chunk
  int tokens_per_block = 0;           // that an inference puts through the decoder
  bool recurrent = false;             // remembers in a state of its own, not in the cache
  // The cache settings that it was trained with.
  int window_blocks = 0, chunk_blocks = 0;
  // Of the attention that caches; its capacities are left 0. Absent: the policy does not say.
  std::optional<CacheGeometry> attention;
};

// What the policy sees at one inference.
struct FrameInput {
  // One per camera, in the spec's order: RGB8, row 0 at the top, [height, width, 3].
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
  // All but what rendering took. What a pass does for all its sessions at once (encode, linear,
  // act) is shared out evenly.
  InferenceCost cost;
  std::vector<ChunkDecision> changes;  // decisions made at this inference
  // [layers, 1 + chunks], see KvCache::received(); empty unless Session::ReportAttention.
  std::vector<float> attention;
};

struct SessionOptions {
  CacheConfig cache;
  int max_blocks = 512;      // capacity: the longest episode, in inferences
  MsClock clock = SteadyMs;  // of the times that an inference says it took
};

// One episode after another under one arm. Not thread-safe; its policy must outlive it.
class Session {
 public:
  virtual ~Session() = default;
  // Forgets the last episode entirely, then reads the instruction into the cache.
  virtual Status BeginEpisode(const EpisodeContext& context) = 0;
  virtual int instruction_tokens() const = 0;  // of the current episode
  // Changes the retention rule of the cache from its next decision on; the episode is then not
  // comparable with others.
  virtual void SetRetention(double threshold, int budget_chunks) = 0;
  // Inferences say what each chunk receives of the attention, for people who watch.
  virtual void ReportAttention(bool on) = 0;

  // Old chunks of the cache of which something is held, ascending.
  virtual std::vector<int> HeldChunks() const { return {}; }
  // Puts what another session of the policy holds of these old chunks in the place of what this one
  // does; both have had equally many inferences. BadInput where that cannot be: no cache, another
  // arm, chunks in the window, or a method whose state belongs to the tokens that it has seen.
  virtual Status TakeOverChunks(const Session& /*from*/, std::span<const int> /*chunks*/) {
    return BadInput("this policy holds no chunks");
  }
};

// A session that is due and what it sees.
struct InferRequest {
  Session* session = nullptr;  // of this policy, BeginEpisode() done
  const FrameInput* input = nullptr;
};

// Not thread-safe, its sessions included.
class Policy {
 public:
  virtual ~Policy() = default;
  virtual const PolicySpec& spec() const = 0;
  // BadInput: the cache settings contradict each other or this policy.
  virtual Result<std::unique_ptr<Session>> NewSession(const SessionOptions& options) = 0;
  // One result a request, in order; an episode that fails does not take others along. A session's
  // result does not depend on the others of the call. REQUIRES: no session twice.
  virtual std::vector<Result<Inference>> Infer(std::span<const InferRequest> requests) = 0;
};

// Of one session.
inline Result<Inference> InferOne(Policy& policy, Session& session, const FrameInput& input) {
  const InferRequest request{&session, &input};
  return std::move(policy.Infer({&request, 1}).front());
}

}  // namespace kvla

#endif  // KVLA_POLICY_POLICY_H_

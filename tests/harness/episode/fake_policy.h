// SPDX-License-Identifier: Apache-2.0
// A policy of functions that a test can read.
#ifndef KVLA_TESTS_HARNESS_EPISODE_FAKE_POLICY_H_
#define KVLA_TESTS_HARNESS_EPISODE_FAKE_POLICY_H_

#include <functional>
#include <memory>
#include <vector>

#include "policy/policy.h"

namespace kvla {

// Its own session.
class FakePolicy : public Policy, public Session {
 public:
  // Cameras front and wrist of 32 x 32, four control steps an action chunk.
  FakePolicy() {
    spec_.cameras = {{"front", 32, 32}, {"wrist", 32, 32}};
    spec_.replan_steps = 4;
    spec_.tokens_per_block = 8;
    spec_.window_blocks = 16;
    spec_.chunk_blocks = 4;
  }

  const PolicySpec& spec() const override { return spec_; }
  PolicySpec& spec() { return spec_; }
  Result<std::unique_ptr<Session>> NewSession(const SessionOptions&) override {
    return InternalError("a fake has one session");
  }
  std::vector<Result<Inference>> Infer(std::span<const InferRequest> requests) override {
    std::vector<Result<Inference>> results;
    for (const InferRequest& request : requests) results.push_back(infer(*request.input));
    return results;
  }
  Status BeginEpisode(const EpisodeContext& context) override { return begin(context); }
  int instruction_tokens() const override { return tokens; }
  void SetRetention(double, int) override {}
  void ReportAttention(bool) override {}

  std::function<Status(const EpisodeContext&)> begin = [](const EpisodeContext&) {
    return Status();
  };
  std::function<Result<Inference>(const FrameInput&)> infer;
  int tokens = 1;

 private:
  PolicySpec spec_;
};

}  // namespace kvla

#endif  // KVLA_TESTS_HARNESS_EPISODE_FAKE_POLICY_H_

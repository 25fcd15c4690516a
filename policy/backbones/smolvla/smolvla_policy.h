// SPDX-License-Identifier: Apache-2.0
// SmolVLA in the loop: each inference is a block of the session's cache, so that a later one sees
// those before it under any method that keeps or drops whole chunks. No torch.
#ifndef KVLA_POLICY_BACKBONES_SMOLVLA_SMOLVLA_POLICY_H_
#define KVLA_POLICY_BACKBONES_SMOLVLA_SMOLVLA_POLICY_H_

#include <memory>
#include <span>
#include <vector>

#include "base/status.h"
#include "policy/policy.h"
#include "policy/policy_source.h"

namespace kvla {

// The published way, in which an inference knows nothing of those before it, is the method `window`
// with window_blocks: 0 and chunk_blocks: 1. The noise that an inference starts from is drawn from
// the episode's stream key and the inference's index.
class SmolVlaPolicy : public Policy {
 public:
  // BadInput as PlanSmolVla(), and where weights, statistics or tokenizer cannot be read. The
  // tokenizer is the folder's tokenizer.json, else SmolLM2's as set-up brings it.
  static Result<std::unique_ptr<SmolVlaPolicy>> Load(const PolicySource& source);
  ~SmolVlaPolicy() override;

  const PolicySpec& spec() const override;
  // BadInput also for a cache in which the expert could not read the history.
  Result<std::unique_ptr<Session>> NewSession(const SessionOptions& options) override;
  std::vector<Result<Inference>> Infer(std::span<const InferRequest> requests) override;

 private:
  struct Model;
  struct Episode;  // the session
  explicit SmolVlaPolicy(std::unique_ptr<Model> model);
  std::unique_ptr<Model> model_;
};

// As a kind of policy (policy/load_policy.h).
Result<PolicyDescription> DescribeSmolVla(const PolicySource& source);
Result<std::unique_ptr<Policy>> LoadSmolVla(const PolicySource& source);

}  // namespace kvla

#endif  // KVLA_POLICY_BACKBONES_SMOLVLA_SMOLVLA_POLICY_H_

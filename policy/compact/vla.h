// SPDX-License-Identifier: Apache-2.0
// The compact VLA at run time: observations in, action chunks out.
#ifndef KVLA_POLICY_COMPACT_VLA_H_
#define KVLA_POLICY_COMPACT_VLA_H_

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "policy/compact/policy_config.h"
#include "policy/policy.h"

namespace kvla {

// A loaded checkpoint.
class Vla : public Policy {
 public:
  struct Options {
    std::filesystem::path checkpoint;    // folder with config.yaml and model.safetensors
    std::filesystem::path text_encoder;  // folder of the sentence encoder, for text: minilm
    std::string device = "cpu";          // "cpu" or "cuda"
    int threads = 1;                     // LibTorch threads an operation; process-wide
    MsClock clock = SteadyMs;            // of the times that a pass says it took
  };

  // BadInput when the checkpoint is missing, truncated or partial, or the device is not there.
  static Result<std::unique_ptr<Vla>> Load(const Options& options);
  ~Vla() override;

  const PolicySpec& spec() const override;
  // BadInput also for a gate that was trained for other weights.
  Result<std::unique_ptr<Session>> NewSession(const SessionOptions& options) override;
  std::vector<Result<Inference>> Infer(std::span<const InferRequest> requests) override;

  const PolicyConfig& config() const;

 private:
  struct Model;
  struct Episode;  // the session
  class Pass;
  explicit Vla(std::unique_ptr<Model> model);
  std::unique_ptr<Model> model_;
};

// What others read of a policy with this config.
PolicySpec SpecOf(const PolicyConfig& config);

// BadInput for a cache setting that a recurrent policy could not follow.
Status CheckMemory(const PolicySpec& policy, const CacheConfig& cache);

}  // namespace kvla

#endif  // KVLA_POLICY_COMPACT_VLA_H_

// SPDX-License-Identifier: Apache-2.0
// A checkpoint with one session of it.
#ifndef KVLA_TESTS_POLICY_LOADED_VLA_H_
#define KVLA_TESTS_POLICY_LOADED_VLA_H_

#include <memory>
#include <utility>

#include "policy/compact/vla.h"

namespace kvla {

struct LoadedVla {
  std::unique_ptr<Vla> policy;
  std::unique_ptr<Session> session;

  Status BeginEpisode(const EpisodeContext& context) { return session->BeginEpisode(context); }
  Result<Inference> Infer(const FrameInput& input) { return InferOne(*policy, *session, input); }
};

inline Result<LoadedVla> LoadVla(const Vla::Options& options, const SessionOptions& session) {
  Result<std::unique_ptr<Vla>> policy = Vla::Load(options);
  if (!policy.ok()) return policy.status();
  Result<std::unique_ptr<Session>> made = (*policy)->NewSession(session);
  if (!made.ok()) return made.status();
  return LoadedVla{*std::move(policy), *std::move(made)};
}

}  // namespace kvla

#endif  // KVLA_TESTS_POLICY_LOADED_VLA_H_

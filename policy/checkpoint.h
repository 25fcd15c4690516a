// A policy on disk: config.yaml and model.safetensors in one folder. Includes torch.
#ifndef KVLA_POLICY_CHECKPOINT_H_
#define KVLA_POLICY_CHECKPOINT_H_

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/status.h"
#include "policy/vla_net.h"

namespace kvla {

struct Checkpoint {
  PolicyConfig config;
  VlaNet net{nullptr};
};

// BadInput: a file is missing, cut short or malformed, a tensor is missing, unknown or of another
// shape than the config says. Nothing is loaded in part.
Result<Checkpoint> LoadCheckpoint(const std::filesystem::path& folder);

// `notes` go into the safetensors metadata: how the weights were made. `type` is that of the file;
// float16 halves what is committed.
Status SaveCheckpoint(const std::filesystem::path& folder, VlaNet& net,
                      const std::map<std::string, std::string>& notes,
                      torch::Dtype type = torch::kFloat32);

// BadInput when sizes contradict each other.
Status CheckPolicyConfig(const PolicyConfig& config);

}  // namespace kvla

#endif  // KVLA_POLICY_CHECKPOINT_H_

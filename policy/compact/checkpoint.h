// SPDX-License-Identifier: Apache-2.0
// A policy on disk: config.yaml and model.safetensors in one folder. Includes torch.
#ifndef KVLA_POLICY_COMPACT_CHECKPOINT_H_
#define KVLA_POLICY_COMPACT_CHECKPOINT_H_

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/status.h"
#include "policy/compact/checkpoint_hash.h"
#include "policy/compact/net/vla_net.h"

namespace kvla {

struct Checkpoint {
  PolicyConfig config;
  VlaNet net{nullptr};
};

// BadInput: a file is missing, cut short or malformed, a tensor is missing, unknown, of another
// shape than the config says, not of reals or not finite. Nothing is loaded in part, but that a
// trainer may give `fresh_heads`: tensors of heads that the file lacks or has in another shape then
// keep fresh weights and are named there.
Result<Checkpoint> LoadCheckpoint(const std::filesystem::path& folder,
                                  std::vector<std::string>* fresh_heads = nullptr);

// Copies the tensors of another policy that have a name and shape of this one's, and of a head that
// has fewer outputs what it has: it knows fewer classes, and the first are the same. With `parts`
// only tensors whose names begin with one of them. `fresh` gets the names of those that keep what
// they had. BadInput where the file can't be read, or no tensor fits or begins with a part.
Status TakeOverTensors(const std::filesystem::path& folder, const std::vector<std::string>& parts,
                       VlaNet& net, std::vector<std::string>* fresh = nullptr);

// `notes` go into the safetensors metadata: how the weights were made. `type` is that of the file;
// float16 halves what is committed.
Status SaveCheckpoint(const std::filesystem::path& folder, VlaNet& net,
                      const std::map<std::string, std::string>& notes,
                      torch::Dtype type = torch::kFloat32);

// Whether a parameter of VlaNet belongs to a head: those may be trained anew on a given trunk.
bool IsHead(const std::string& parameter);
// Whether it is one that VlaNet::EncodeBlocks() reads.
bool IsEncoder(const std::string& parameter);

// Whether a gate's file says that it was trained for the policy in `folder`. BadInput names both
// hashes (CheckpointHash()).
Status CheckGatePolicy(const std::filesystem::path& gate, const std::filesystem::path& folder);

// BadInput when sizes contradict each other.
Status CheckPolicyConfig(const PolicyConfig& config);

// BadInput for a recurrent policy: it keeps no cache, of which `what` would be.
Status CheckKeepsCache(const PolicyConfig& config, const std::string& what);

}  // namespace kvla

#endif  // KVLA_POLICY_COMPACT_CHECKPOINT_H_

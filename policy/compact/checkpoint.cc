// SPDX-License-Identifier: Apache-2.0
#include "policy/compact/checkpoint.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/config_io.h"
#include "base/files.h"
#include "base/hash.h"
#include "kv_efficient/methods/learned/chunk_gate.h"
#include "tensors/safetensors.h"

namespace kvla {
namespace {

namespace fs = std::filesystem;

}  // namespace

bool IsHead(const std::string& parameter) {
  return parameter.substr(0, parameter.find('.')).ends_with("_head");
}

bool IsEncoder(const std::string& parameter) {
  const std::string module = parameter.substr(0, parameter.find('.'));
  return module == "image_encoders" || module == "state_encoder" || module == "slot_embedding";
}

Status CheckPolicyConfig(const PolicyConfig& c) {
  if (c.cameras.empty() || c.cameras.size() != c.camera_tokens.size()) {
    return BadInput(fmt::format("cameras lists {} names and camera_tokens {} numbers: one a camera",
                                c.cameras.size(), c.camera_tokens.size()));
  }
  if (std::any_of(c.camera_tokens.begin(), c.camera_tokens.end(), [](int n) { return n < 1; })) {
    return BadInput("camera_tokens: every camera needs at least one token");
  }
  if (c.hidden_size % c.num_heads != 0 || c.num_heads % c.num_kv_heads != 0 ||
      c.head_dim() % 2 != 0) {
    return BadInput(fmt::format(
        "hidden_size {} must be a multiple of num_heads {}, num_heads of num_kv_heads {}, and the "
        "head's width even",
        c.hidden_size, c.num_heads, c.num_kv_heads));
  }
  if (c.reads_sentences() && !c.vocabulary.empty()) {
    return BadInput("text: minilm reads sentences, so vocabulary must be empty");
  }
  if (c.image_size % 8 != 0) {
    return BadInput(fmt::format("image_size {} must be a multiple of 8", c.image_size));
  }
  return {};
}

Status CheckKeepsCache(const PolicyConfig& config, const std::string& what) {
  if (!config.recurrent()) return {};
  return BadInput(
      fmt::format("{}: a recurrent policy (policy.memory: recurrent) remembers in a state of its "
                  "own and holds no chunks to keep, compress or drop",
                  what));
}

Result<Checkpoint> LoadCheckpoint(const fs::path& folder, std::vector<std::string>* fresh_heads) {
  const fs::path weights_path = folder / kWeightsFile;
  for (const fs::path& path : {folder / kConfigFile, weights_path}) {
    std::error_code error;
    if (!fs::is_regular_file(path, error)) {
      return BadInput(fmt::format(
          "{}: no such file; a checkpoint folder holds {} and {} (kvla train makes one)",
          path.string(), kConfigFile, kWeightsFile));
    }
  }
  Checkpoint checkpoint;
  if (Status s = LoadConfigFile(folder / kConfigFile, {}, &checkpoint.config); !s.ok()) return s;
  if (Status s = CheckPolicyConfig(checkpoint.config); !s.ok()) return s.In(folder.string());
  Result<TensorFile> file = ReadWeights(weights_path);
  if (!file.ok()) return file.status();
  checkpoint.net = VlaNet(checkpoint.config);
  const torch::NoGradGuard no_grad;
  auto parameters = checkpoint.net->named_parameters();
  for (auto& item : parameters) {
    const auto found = file->tensors.find(item.key());
    const bool fits = found != file->tensors.end() && found->second.sizes() == item.value().sizes();
    if (!fits && fresh_heads != nullptr && IsHead(item.key())) {
      fresh_heads->push_back(item.key());
      if (found != file->tensors.end()) file->tensors.erase(found);
      continue;
    }
    if (found == file->tensors.end()) {
      return BadInput(fmt::format("{}: tensor '{}' is missing", weights_path.string(), item.key()));
    }
    if (found->second.sizes() != item.value().sizes()) {
      return BadInput(fmt::format("{}: tensor '{}' is [{}]; {} says [{}]", weights_path.string(),
                                  item.key(), fmt::join(found->second.sizes(), ", "), kConfigFile,
                                  fmt::join(item.value().sizes(), ", ")));
    }
    item.value().copy_(found->second);
    file->tensors.erase(found);
  }
  if (!file->tensors.empty()) {
    return BadInput(fmt::format("{}: tensor '{}' is not part of this policy", weights_path.string(),
                                file->tensors.begin()->first));
  }
  return checkpoint;
}

Status TakeOverTensors(const fs::path& folder, const std::vector<std::string>& parts, VlaNet& net,
                       std::vector<std::string>* fresh) {
  const std::vector<std::string> names = net->named_parameters().keys();
  for (const std::string& part : parts) {
    const auto begins = [&](const std::string& name) { return name.starts_with(part); };
    if (std::ranges::any_of(names, begins)) continue;
    return BadInput(fmt::format("no tensor of this policy begins with '{}'; its modules are {}",
                                part, fmt::join(net->named_children().keys(), ", ")));
  }
  Result<TensorFile> file = ReadWeights(folder / kWeightsFile);
  if (!file.ok()) return file.status();
  const torch::NoGradGuard no_grad;
  const auto take = [&](const std::string& name, torch::Tensor into) {
    const auto begins = [&](const std::string& part) { return name.starts_with(part); };
    if (!parts.empty() && !std::ranges::any_of(parts, begins)) return false;
    const auto found = file->tensors.find(name);
    if (found == file->tensors.end()) return false;
    const torch::Tensor& source = found->second;
    if (IsHead(name) && source.dim() == into.dim() && source.size(0) < into.size(0)) {
      into = into.narrow(0, 0, source.size(0));
    }
    if (source.sizes() != into.sizes()) return false;
    into.copy_(source);
    return true;
  };
  int taken = 0;
  for (const auto& item : net->named_parameters()) {
    if (take(item.key(), item.value())) {
      ++taken;
    } else if (fresh != nullptr) {
      fresh->push_back(item.key());
    }
  }
  if (taken > 0) return {};
  return BadInput(fmt::format("{}: no tensor has a name and shape of this policy's",
                              (folder / kWeightsFile).string()));
}

Status SaveCheckpoint(const fs::path& folder, VlaNet& net,
                      const std::map<std::string, std::string>& notes, torch::Dtype type) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return IoError(fmt::format("{}: {}", folder.string(), error.message()));
  TensorFile file;
  for (const auto& item : net->named_parameters()) {
    file.tensors[item.key()] = item.value().detach().to(torch::kCPU, type).contiguous();
  }
  file.metadata = notes;
  if (Status s = WriteSafetensors(folder / kWeightsFile, file); !s.ok()) return s;
  return WriteFileAtomic(folder / kConfigFile, PrintConfig(net->config()));
}

Status CheckGatePolicy(const fs::path& gate, const fs::path& folder) {
  Result<TensorFile> loaded = ReadSafetensors(gate);
  if (!loaded.ok()) return loaded.status().In("gate");
  const Result<std::string> hash = CheckpointHash(folder);
  if (!hash.ok()) return hash.status();
  const std::string& trained_for = loaded->metadata[kGatePolicyKey];
  if (trained_for == *hash) return {};
  return BadInput(fmt::format(
      "gate '{}' was trained for {}, this is {} (hash {}); kvla {} makes one for it", gate.string(),
      trained_for.empty() ? "a policy that it does not name"
                          : fmt::format("the policy of hash {}", trained_for),
      folder.string(), *hash,
      loaded->metadata.contains("method") ? "train-write-gate" : "train-gate"));
}

}  // namespace kvla

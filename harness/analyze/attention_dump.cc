// SPDX-License-Identifier: Apache-2.0
#include "harness/analyze/attention_dump.h"

#include <fmt/format.h>

#include <string>
#include <vector>

#include "base/numbers.h"
#include "base/text.h"
#include "tensors/safetensors.h"
#include "tensors/torch.h"

namespace kvla {
namespace {

using Sizes = std::vector<int64_t>;

constexpr int64_t kMaxHeadDim = 4096;
constexpr int64_t kMaxLanes = 65536;  // heads over all layers
constexpr int64_t kMaxBlockTokens = 100000;
constexpr int64_t kMaxAgeClamp = 4096;  // as a policy's config
constexpr int64_t kUsualAgeClamp = 24;
// The largest of an F16: products of larger numbers leave the range of an f32.
constexpr double kMaxValue = 65504;

std::string ShapeText(const at::Tensor& tensor) {
  std::vector<std::string> sizes;
  for (const int64_t size : tensor.sizes()) sizes.push_back(std::to_string(size));
  return "[" + Join(sizes, ", ") + "]";
}

// As f32, contiguous; `heads` is what its second dimension is called.
Result<at::Tensor> TensorOf(const TensorFile& file, const std::string& name, const char* heads) {
  const auto found = file.tensors.find(name);
  if (found == file.tensors.end()) {
    std::vector<std::string> names;
    for (const auto& [other, tensor] : file.tensors) names.push_back(other);
    return BadInput(fmt::format("tensor '{}' is missing; there {} {}", name,
                                names.size() == 1 ? "is" : "are",
                                names.empty() ? "none" : PrintableLine(Join(names, ", "))));
  }
  const at::Tensor& tensor = found->second;
  if (!at::isFloatingType(tensor.scalar_type())) {
    return BadInput(fmt::format("tensor '{}' holds {}: F32, F16, BF16 or F64 are read", name,
                                c10::toString(tensor.scalar_type())));
  }
  if (tensor.dim() != 4 || tensor.numel() == 0) {
    return BadInput(
        fmt::format("tensor '{}' is {}: it must be [layers, {}, tokens, head_dim], each 1 or more",
                    name, ShapeText(tensor), heads));
  }
  const at::Tensor values = tensor.to(at::kFloat).contiguous();
  const at::Tensor wrong = torch::logical_not(values.abs() <= kMaxValue);
  if (wrong.any().item<bool>()) {
    const at::Tensor at = wrong.nonzero()[0];
    const auto index = [&](int i) { return at[i].item<int64_t>(); };
    return BadInput(fmt::format(
        "tensor '{}' has {} in layer {}, head {}, token {}: values are finite and within +-{}",
        name, values[index(0)][index(1)][index(2)][index(3)].item<float>(), index(0), index(1),
        index(2), kMaxValue));
  }
  return values;
}

// A whole number of the metadata; `usual` where it is not there, below 0: it must be.
Result<int> CountOf(const TensorFile& file, const std::string& key, int64_t usual, int64_t least,
                    int64_t most) {
  int64_t value = usual;
  const auto found = file.metadata.find(key);
  if (found == file.metadata.end() && usual < 0) {
    return BadInput(
        fmt::format("metadata '{}' is missing: a number from {} to {}, as text", key, least, most));
  }
  if (found != file.metadata.end()) {
    const Result<int64_t> number = ParseInteger(found->second);
    if (!number.ok() || *number < least || *number > most) {
      return BadInput(fmt::format("metadata '{}' is '{}': it must be a whole number from {} to {}",
                                  key, PrintableLine(found->second), least, most));
    }
    value = *number;
  }
  return static_cast<int>(value);
}

Status CheckShapes(const AttentionDump& dump) {
  const Sizes keys = dump.keys.sizes().vec(), queries = dump.queries.sizes().vec();
  if (dump.values.sizes() != dump.keys.sizes()) {
    return BadInput(fmt::format("tensor 'values' is {}, 'keys' is {}: they must be alike",
                                ShapeText(dump.values), ShapeText(dump.keys)));
  }
  if (queries[0] != keys[0] || queries[2] != keys[2] || queries[3] != keys[3]) {
    return BadInput(fmt::format(
        "tensor 'queries' is {}, 'keys' is {}: layers, tokens and head_dim must be the same",
        ShapeText(dump.queries), ShapeText(dump.keys)));
  }
  if (queries[1] % keys[1] != 0) {
    return BadInput(
        fmt::format("{} query heads cannot be shared by {} KV heads", queries[1], keys[1]));
  }
  if (keys[3] % 2 != 0 || keys[3] > kMaxHeadDim) {
    return BadInput(fmt::format("head_dim {} must be even and at most {}", keys[3], kMaxHeadDim));
  }
  if (keys[0] > kMaxLanes || keys[0] * queries[1] > kMaxLanes) {
    return BadInput(fmt::format("{} layers of {} heads are more than {} in all", keys[0],
                                queries[1], kMaxLanes));
  }
  return {};
}

Status ReadGeometry(const TensorFile& file, AttentionDump* dump) {
  if (Status s = CheckShapes(*dump); !s.ok()) return s;
  const int64_t tokens = dump->keys.size(2);
  CacheGeometry& g = dump->geometry;
  const Result<int> block = CountOf(file, "tokens_per_block", -1, 1, kMaxBlockTokens);
  if (!block.ok()) return block.status();
  const Result<int> instruction = CountOf(file, "instruction_tokens", 0, 0, tokens);
  if (!instruction.ok()) return instruction.status();
  const Result<int> clamp = CountOf(file, "age_clamp_blocks", kUsualAgeClamp, 0, kMaxAgeClamp);
  if (!clamp.ok()) return clamp.status();
  if (const auto theta = file.metadata.find("rope_theta"); theta != file.metadata.end()) {
    const Result<double> number = ParseNumber(theta->second);
    if (!number.ok() || (*number != 0 && *number <= 1)) {
      return BadInput(
          fmt::format("metadata 'rope_theta' is '{}': it must be a number above 1, or 0 "
                      "where keys and queries hold their positions already",
                      PrintableLine(theta->second)));
    }
    g.rope_theta = *number;
  }
  const int64_t rest = tokens - *instruction;
  if (rest == 0 || rest % *block != 0) {
    return BadInput(fmt::format(
        "{} tokens after {} of the instruction are not one or more blocks of {} (metadata "
        "'tokens_per_block', 'instruction_tokens')",
        rest, *instruction, *block));
  }
  g.layers = static_cast<int>(dump->keys.size(0));
  g.kv_heads = static_cast<int>(dump->keys.size(1));
  g.heads = static_cast<int>(dump->queries.size(1));
  g.head_dim = static_cast<int>(dump->keys.size(3));
  g.tokens_per_block = *block;
  g.max_blocks = static_cast<int>(rest / *block);
  g.instruction_tokens = *instruction;
  g.age_clamp_blocks = *clamp;
  return ValidateCacheGeometry(g);
}

}  // namespace

Result<AttentionDump> ReadAttentionDump(const std::filesystem::path& path) {
  const Result<TensorFile> file = ReadSafetensors(path);
  if (!file.ok()) return file.status();
  AttentionDump dump;
  const struct {
    const char* name;
    const char* heads;
    at::Tensor* tensor;
  } parts[] = {{"keys", "kv_heads", &dump.keys},
               {"values", "kv_heads", &dump.values},
               {"queries", "heads", &dump.queries}};
  for (const auto& part : parts) {
    Result<at::Tensor> tensor = TensorOf(*file, part.name, part.heads);
    if (!tensor.ok()) return tensor.status().In(path.string());
    *part.tensor = *std::move(tensor);
  }
  if (Status s = ReadGeometry(*file, &dump); !s.ok()) return s.In(path.string());
  return dump;
}

}  // namespace kvla

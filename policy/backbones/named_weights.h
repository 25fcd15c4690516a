// SPDX-License-Identifier: Apache-2.0
// Tensors of a checkpoint, taken one by one by those who use them. torch.
#ifndef KVLA_POLICY_BACKBONES_NAMED_WEIGHTS_H_
#define KVLA_POLICY_BACKBONES_NAMED_WEIGHTS_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"

namespace kvla {

// x W^T + bias. An undefined bias is none.
struct LinearMap {
  at::Tensor weight;  // [outputs, inputs]
  at::Tensor bias;    // [outputs]
  at::Tensor operator()(const at::Tensor& x) const;
};

// Remembers the first tensor that is missing, misshapen or no weights (integers, values that are
// not finite); Finish() says it, or which tensor nobody took.
class NamedWeights {
 public:
  explicit NamedWeights(std::map<std::string, at::Tensor> tensors);
  // Has every tensor that is asked for: drawn from its name and `seed`, so that activations stay of
  // the size of one; norms are 1 and biases 0.
  explicit NamedWeights(uint64_t seed) : seed_(seed) {}

  // As f32: the file's own memory where it holds f32. Undefined where something was wrong.
  at::Tensor Take(const std::string& name, const std::vector<int64_t>& shape);
  // NAME.weight and, with `bias`, NAME.bias.
  LinearMap TakeLinear(const std::string& name, int64_t outputs, int64_t inputs, bool bias);
  // A tensor that belongs to the layout although nothing uses it; it may be absent.
  void Leave(const std::string& name, const std::vector<int64_t>& shape);
  Status Finish() const;

  // Parameters taken so far, those left included.
  int64_t parameters() const { return parameters_; }

 private:
  at::Tensor Checked(const std::string& name, const std::vector<int64_t>& shape);
  at::Tensor Drawn(const std::string& name, const std::vector<int64_t>& shape);

  std::optional<uint64_t> seed_;
  std::map<std::string, at::Tensor> tensors_;  // not yet taken
  int64_t parameters_ = 0;
  Status status_;
};

}  // namespace kvla

#endif  // KVLA_POLICY_BACKBONES_NAMED_WEIGHTS_H_

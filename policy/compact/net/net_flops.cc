// SPDX-License-Identifier: Apache-2.0
#include "policy/compact/net/net_flops.h"

#include <string>

namespace kvla {
namespace {

// How often a weight is used: once in a linear map, at each place of a convolution's output.
double UsesOf(const std::string& name, const torch::Tensor& weight, int image_size) {
  if (weight.dim() != 4) return 1;
  // trunk.0 works at a quarter of the side, the others at an eighth.
  const bool patches = name.find("trunk.0.") != std::string::npos;
  const double side = image_size / (patches ? 4.0 : 8.0);
  return side * side;
}

}  // namespace

NetFlops NetFlopsOf(const VlaNet& net) {
  NetFlops flops;
  for (const auto& item : net->named_parameters()) {
    const std::string& name = item.key();
    if (item.value().dim() < 2) continue;
    const double work = 2 * UsesOf(name, item.value(), net->config().image_size) *
                        static_cast<double>(item.value().numel());
    if (name.starts_with("image_encoders.") || name.starts_with("state_encoder.")) {
      flops.encode += work;
    } else if (name.starts_with("memory.")) {
      flops.memory += work;
    } else if (name.find("_head.") != std::string::npos) {
      flops.heads += work;
    }
  }
  return flops;
}

}  // namespace kvla

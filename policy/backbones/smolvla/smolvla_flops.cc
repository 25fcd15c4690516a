// SPDX-License-Identifier: Apache-2.0
#include "policy/backbones/smolvla/smolvla_flops.h"

namespace kvla {
namespace {

double VisionFlops(const VlmSizes& vlm) {
  const VisionSizes& v = vlm.vision;
  const double patches = v.patches(), width = v.hidden;
  const double embed = patches * width * 3 * v.patch * v.patch;
  const double layer = patches * width * (4 * width + 2.0 * v.mlp) + 2 * patches * patches * width;
  const double connector = patches * width * vlm.text.hidden;  // tokens x (factor^2 x width)
  return 2 * (embed + v.layers * layer + connector);
}

// Weights that one row meets in a layer but for its maps of keys and values.
double RowWeights(const LlamaSizes& s) {
  return double{2} * s.hidden * s.query_width() + double{3} * s.hidden * s.mlp;
}

}  // namespace

SmolVlaFlops SmolVlaFlopsOf(const SmolVlaConfig& config, int images, int prompt, int64_t history) {
  const LlamaSizes &text = config.vlm.text, &expert = config.expert;
  const double tokens = config.prefix_tokens(images, prompt), chunk = config.chunk;
  const double seen = tokens + static_cast<double>(history);
  SmolVlaFlops flops;
  flops.vision = images * VisionFlops(config.vlm);
  const double keys_values = double{2} * text.hidden * text.kv_width();
  flops.linear = 2 * (text.layers * tokens * (RowWeights(text) + keys_values) +
                      double{1} * config.max_state * text.hidden);
  // The state sees all, the others do not see it.
  flops.attention = 4 * text.layers * text.query_width() * ((tokens - 1) * (seen - 1) + seen);

  const double width = expert.hidden;
  double step = chunk * (2 * width * config.max_action + 3 * width * width);
  double once = 0, attended = 0;
  for (const bool cross : config.cross) {
    step += chunk * RowWeights(expert);
    if (cross) {
      once += seen * 2 * text.kv_width() * expert.kv_width();
      attended += seen;
    } else {
      step += chunk * 2 * width * expert.kv_width();
      attended += seen + chunk;
    }
  }
  flops.expert_linear = 2 * (once + config.euler_steps * step);
  flops.expert_attention = 4 * config.euler_steps * chunk * expert.query_width() * attended;
  return flops;
}

}  // namespace kvla

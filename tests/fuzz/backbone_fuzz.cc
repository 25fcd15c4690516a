// SPDX-License-Identifier: Apache-2.0
// JSON files of a published backbone: any bytes are one whose numbers can be computed with, or
// BadInput.
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "policy/backbones/processors.h"
#include "policy/backbones/smolvla/smolvla_config.h"
#include "policy/backbones/smolvla/smolvla_flops.h"
#include "tensors/weight_folder.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const kvla::VlmSizes tiny{
      .vision = {.image = 32, .patch = 8, .hidden = 32, .layers = 2, .heads = 4, .mlp = 44},
      .pixel_shuffle = 2,
      .text = {.hidden = 56, .layers = 4, .heads = 4, .kv_heads = 4, .head_dim = 10, .mlp = 50},
      .vocabulary = 97};
  const auto own = kvla::ParseVlmSizes(text);
  const auto config = kvla::ParseSmolVlaConfig(text, tiny);
  if (config.ok()) {
    const int cameras = static_cast<int>(config->cameras.size());
    const double flops = kvla::SmolVlaFlopsOf(*config, cameras, config->max_prompt).total();
    if (!std::isfinite(flops) || flops <= 0) abort();
  }
  if (own.ok() && own->tokens_per_image() < 1) abort();
  const auto processors = kvla::ParseProcessorFile(text);
  if (processors.ok() && processors->max_prompt < 0) abort();
  const auto index = kvla::ParseWeightIndex(text);
  if (index.ok() && index->empty()) abort();
  return 0;
}

// SPDX-License-Identifier: Apache-2.0
// What an inference of a published shape computes, layer by layer. No torch.
#ifndef KVLA_POLICY_BACKBONES_SHAPE_WORK_H_
#define KVLA_POLICY_BACKBONES_SHAPE_WORK_H_

#include <string_view>
#include <vector>

#include "policy/backbones/shapes.h"

namespace kvla {

enum class LayerKind {
  kPatches,    // a tower's first map and its positions
  kTower,      // a tower's layer, its attention included
  kConnector,  // of an image's tokens
  kState,      // the state's maps
  kText,       // a layer of the language model without its attention
  kHead,       // the language model's
  kExpert,     // an expert's layer and its attention to its own rows
  kCross,      // an expert's layer that crosses, without its attention
  kExpertMaps,
  kDiffusion,  // a diffusion transformer's layer, its attention included
  kDiffusionMaps,
};
std::string_view LayerName(LayerKind kind);

// One layer (or what is named instead) over so many rows, so many times in an inference. A
// multiply-add is 2 FLOPs; norms, activations, softmax and rotations are left out.
struct LayerWork {
  LayerKind kind = LayerKind::kText;
  int tower = 0;  // which one, of a tower's
  int rows = 0;
  int times = 0;
  double flops = 0;            // of its maps, each time
  double attention_flops = 0;  // of its attention to its own rows
  double weights = 0;          // parameters that it reads
};

// Queries of a layer over all that it holds of the history and of the current block.
struct AttentionWork {
  int rows = 0;        // tokens; each has all query heads
  int times = 0;       // in an inference: layers x passes
  bool cross = false;  // over what the expert's maps made of it
};

struct InferenceWork {
  std::vector<LayerWork> layers;
  std::vector<AttentionWork> attention;
  int cross_layers = 0;  // make keys and values of every row that their layer holds
  double query_width = 0;
  double cross_flops = 0;  // of one such row, both maps

  // Where each query meets so many keys, those of its own block included.
  double AttentionFlops(double attended) const;
  double Flops(double attended) const;
};

// `block_rows`: tokens that go through the language model at first: block_tokens() where a history
// is kept, with the prompt where it is not.
InferenceWork WorkOf(const BackboneShape& shape, int block_rows);

}  // namespace kvla

#endif  // KVLA_POLICY_BACKBONES_SHAPE_WORK_H_

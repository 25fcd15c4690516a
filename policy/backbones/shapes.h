// SPDX-License-Identifier: Apache-2.0
// What published VLAs are made of, without their weights. No torch.
#ifndef KVLA_POLICY_BACKBONES_SHAPES_H_
#define KVLA_POLICY_BACKBONES_SHAPES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "kv_efficient/cache_geometry.h"
#include "policy/backbones/sizes.h"

namespace kvla {

// A linear map.
struct MapSizes {
  int inputs = 0, outputs = 0;
  bool bias = true;
};

// One of the encoders that an image goes through.
struct TowerShape {
  VisionSizes sizes;
  int extra_tokens = 0;      // of class and registers, beside the patches
  bool layer_scale = false;  // DINOv2's factor of every channel
  int rows() const { return sizes.patches() + extra_tokens; }
};

// Passes through the language model behind that of the block.
struct PassShape {
  int tokens = 0, times = 0;
};

// Flow matching beside the language model's layers, whose keys and values its queries read.
struct ExpertShape {
  LlamaSizes sizes;              // layers 0: there is none
  int cross_layers = 0;          // that read those alone, through maps of their own
  int rows = 0, steps = 0;       // action tokens (pi0: and the state's); Euler steps
  std::vector<MapSizes> maps{};  // of each row at each step: actions in and out, time
};

// A diffusion transformer behind the language model, which reads one of its hidden states.
struct DiffusionShape {
  VisionSizes sizes;             // its layers are a tower's; layers 0: there is none
  int rows = 0, steps = 0;       // tokens of both halves of the guidance
  std::vector<MapSizes> maps{};  // of each row at each step
};

struct BackboneShape {
  std::string name;
  LlamaSizes text;
  int vocabulary = 0;
  bool tied = false;  // the head's weights are the embeddings'
  std::vector<TowerShape> towers;
  std::vector<MapSizes> connector;  // of each of an image's tokens
  int images = 0;                   // of an inference
  int image_tokens = 0;             // of an image
  int own_tokens = 0;               // the state's, or the one that asks for the action
  int prompt = 0;                   // tokens; once an episode where history is kept
  std::vector<MapSizes> maps;       // of the state
  std::vector<PassShape> passes;
  int logits = 0;  // rows that go through the head
  ExpertShape expert;
  DiffusionShape diffusion;

  // What an inference adds to a history.
  int block_tokens() const { return images * image_tokens + own_tokens; }
};

// openvla, cogact, hybridvla, pi0, smolvla.
const std::vector<BackboneShape>& PublishedShapes();
// BadInput names those that there are.
Result<BackboneShape> BackboneShapeNamed(const std::string& name);

// Of the whole model.
int64_t Parameters(const BackboneShape& shape);

// Of a cache of `layers` of its layers for so many inferences: the prompt in front, a block an
// inference, whose tokens have positions of their own.
CacheGeometry HistoryGeometry(const BackboneShape& shape, int layers, int inferences,
                              int age_clamp_blocks);

}  // namespace kvla

#endif  // KVLA_POLICY_BACKBONES_SHAPES_H_

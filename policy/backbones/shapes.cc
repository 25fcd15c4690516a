// SPDX-License-Identifier: Apache-2.0
#include "policy/backbones/shapes.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace kvla {
namespace {

// google/siglip-so400m-patch14-224. Its pooling head (15.2 million parameters in timm's weights,
// which OpenVLA and its kin carry along unused) is left out.
TowerShape SiglipSo400m() {
  return {
      .sizes = {.image = 224, .patch = 14, .hidden = 1152, .layers = 27, .heads = 16, .mlp = 4304}};
}

// timm's vit_large_patch14_reg4_dinov2 at 224 pixels: a class token and four registers.
TowerShape DinoV2Large() {
  return {
      .sizes = {.image = 224, .patch = 14, .hidden = 1024, .layers = 24, .heads = 16, .mlp = 4096},
      .extra_tokens = 5,
      .layer_scale = true};
}

// Llama 2 7B under DINOv2 and SigLIP (openvla/openvla-7b, config.json and prismatic's
// modeling_prismatic.py; arXiv:2406.09246). Seven action tokens, of which the first comes out of
// the block's own pass.
BackboneShape OpenVla() {
  BackboneShape s;
  s.name = "openvla";
  s.text = {
      .hidden = 4096, .layers = 32, .heads = 32, .kv_heads = 32, .head_dim = 128, .mlp = 11008};
  s.vocabulary = 32064;
  s.towers = {DinoV2Large(), SiglipSo400m()};
  s.connector = {{1024 + 1152, 8704}, {8704, 4096}, {4096, 4096}};
  s.images = 1;
  s.image_tokens = 256;
  s.own_tokens = 1;  // the last of the prompt ("Out:"), behind the image
  s.prompt = 24;
  s.passes = {{.tokens = 1, .times = 6}};
  s.logits = 7;
  return s;
}

// OpenVLA's model, one of whose hidden states (the "cognition feature") conditions a DiT-B: 12
// layers x 768, 16 actions behind that feature, DDIM of 10 steps, classifier-free guidance (the
// CogACT repository, action_model/; arXiv:2411.19650). Nothing is decoded.
BackboneShape CogAct() {
  BackboneShape s = OpenVla();
  s.name = "cogact";
  s.passes.clear();
  s.logits = 1;
  s.diffusion.sizes = {.hidden = 768, .layers = 12, .heads = 12, .mlp = 3072};
  s.diffusion.rows = 2 * 17;
  s.diffusion.steps = 10;
  s.diffusion.maps = {{7, 768}, {4096, 768}, {256, 768}, {768, 768}, {768, 7}};
  return s;
}

// OpenVLA's model on two views and the state: four DDIM passes of two tokens (time, noisy action)
// through the language model, then seven action tokens (the Hybrid-VLA repository's README;
// arXiv:2503.10631). Its maps of state, noise and time (0.3% of the parameters) are left out.
BackboneShape HybridVla() {
  BackboneShape s = OpenVla();
  s.name = "hybridvla";
  s.images = 2;
  s.passes = {{.tokens = 2, .times = 4}, {.tokens = 1, .times = 7}};
  return s;
}

// Gemma 2B under SigLIP (PaliGemma) beside a Gemma of 300M (openpi, gemma.py and pi0.py;
// arXiv:2410.24164). The state is a token of the expert's; MLPs are GeGLU.
BackboneShape Pi0() {
  BackboneShape s;
  s.name = "pi0";
  s.text = {.hidden = 2048,
            .layers = 18,
            .heads = 8,
            .kv_heads = 1,
            .head_dim = 256,
            .mlp = 16384,
            .epsilon = 1e-6};
  s.vocabulary = 257152;
  s.tied = true;
  s.towers = {SiglipSo400m()};
  s.connector = {{1152, 2048}};
  s.images = 2;
  s.image_tokens = 256;
  s.prompt = 16;
  s.expert.sizes = {.hidden = 1024,
                    .layers = 18,
                    .heads = 8,
                    .kv_heads = 1,
                    .head_dim = 256,
                    .mlp = 4096,
                    .epsilon = 1e-6};
  s.expert.rows = 1 + 50;
  s.expert.steps = 10;
  s.expert.maps = {{32, 1024}, {2048, 1024}, {1024, 1024}, {1024, 32}};
  s.maps = {{32, 1024}};
  return s;
}

// The first 16 layers of SmolLM2-360M under SigLIP-B/16 (SmolVLM2-500M-Video), LeRobot 0.6.1's
// modeling_smolvla.py (arXiv:2506.01844). Every second layer of the expert crosses.
BackboneShape SmolVlaShape() {
  BackboneShape s;
  s.name = "smolvla";
  s.text = {.hidden = 960, .layers = 16, .heads = 15, .kv_heads = 5, .head_dim = 64, .mlp = 2560};
  s.vocabulary = 49280;
  s.towers = {
      {.sizes = {
           .image = 512, .patch = 16, .hidden = 768, .layers = 12, .heads = 12, .mlp = 3072}}};
  s.connector = {{16 * 768, 960, /*bias=*/false}};
  s.images = 2;
  s.image_tokens = 64;
  s.own_tokens = 1;
  s.prompt = 16;
  s.maps = {{32, 960}};
  s.expert.sizes = {
      .hidden = 720, .layers = 16, .heads = 15, .kv_heads = 5, .head_dim = 64, .mlp = 2048};
  s.expert.cross_layers = 8;
  s.expert.rows = 50;
  s.expert.steps = 10;
  s.expert.maps = {{32, 720}, {1440, 720}, {720, 720}, {720, 32}};
  return s;
}

int64_t ParametersOf(const MapSizes& map) {
  return int64_t{map.inputs} * map.outputs + (map.bias ? map.outputs : 0);
}

int64_t ParametersOf(const std::vector<MapSizes>& maps) {
  int64_t sum = 0;
  for (const MapSizes& map : maps) sum += ParametersOf(map);
  return sum;
}

// Four maps of attention, two of the MLP, two layer norms.
int64_t EncoderLayer(const VisionSizes& v) {
  return 4 * ParametersOf(MapSizes{v.hidden, v.hidden}) + ParametersOf(MapSizes{v.hidden, v.mlp}) +
         ParametersOf(MapSizes{v.mlp, v.hidden}) + int64_t{4} * v.hidden;
}

int64_t ParametersOf(const TowerShape& tower) {
  const VisionSizes& v = tower.sizes;
  return ParametersOf(MapSizes{3 * v.patch * v.patch, v.hidden}) +
         int64_t{tower.rows()} * v.hidden +
         v.layers * (EncoderLayer(v) + (tower.layer_scale ? 2 * v.hidden : 0)) +
         int64_t{2} * v.hidden;
}

// Layers and the norm behind them. `kv_inputs`: what the maps of keys and values read.
int64_t LlamaLayers(const LlamaSizes& s, int layers, int kv_inputs) {
  return layers * (int64_t{2} * s.hidden * s.query_width() + int64_t{2} * kv_inputs * s.kv_width() +
                   int64_t{3} * s.hidden * s.mlp + int64_t{2} * s.hidden);
}

}  // namespace

const std::vector<BackboneShape>& PublishedShapes() {
  static const std::vector<BackboneShape> shapes = {OpenVla(), CogAct(), HybridVla(), Pi0(),
                                                    SmolVlaShape()};
  return shapes;
}

Result<BackboneShape> BackboneShapeNamed(const std::string& name) {
  std::vector<std::string> names;
  for (const BackboneShape& shape : PublishedShapes()) {
    if (shape.name == name) return shape;
    names.push_back(shape.name);
  }
  return BadInput(fmt::format("unknown backbone '{}'; there are {}", name, fmt::join(names, ", ")));
}

int64_t Parameters(const BackboneShape& shape) {
  int64_t sum = 0;
  for (const TowerShape& tower : shape.towers) sum += ParametersOf(tower);
  sum += ParametersOf(shape.connector) + ParametersOf(shape.maps);
  const LlamaSizes& text = shape.text;
  sum += LlamaLayers(text, text.layers, text.hidden) + text.hidden;
  sum += int64_t{shape.vocabulary} * text.hidden * (shape.tied ? 1 : 2);
  if (const ExpertShape& e = shape.expert; e.sizes.layers > 0) {
    sum += LlamaLayers(e.sizes, e.sizes.layers - e.cross_layers, e.sizes.hidden) +
           LlamaLayers(e.sizes, e.cross_layers, text.kv_width()) + e.sizes.hidden +
           ParametersOf(e.maps);
  }
  const DiffusionShape& d = shape.diffusion;
  return sum + d.sizes.layers * EncoderLayer(d.sizes) + ParametersOf(d.maps);
}

CacheGeometry HistoryGeometry(const BackboneShape& shape, int layers, int inferences,
                              int age_clamp_blocks) {
  CacheGeometry geometry;
  geometry.layers = layers;
  geometry.heads = shape.text.heads;
  geometry.kv_heads = shape.text.kv_heads;
  geometry.head_dim = shape.text.head_dim;
  geometry.tokens_per_block = shape.block_tokens();
  geometry.max_blocks = inferences;
  geometry.instruction_tokens = shape.prompt;
  geometry.positions_per_block = shape.block_tokens();
  geometry.age_clamp_blocks = age_clamp_blocks;
  return geometry;
}

}  // namespace kvla

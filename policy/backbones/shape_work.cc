// SPDX-License-Identifier: Apache-2.0
#include "policy/backbones/shape_work.h"

namespace kvla {
namespace {

// Weights of maps, biases left out.
double WeightsOf(const std::vector<MapSizes>& maps) {
  double sum = 0;
  for (const MapSizes& map : maps) sum += static_cast<double>(map.inputs) * map.outputs;
  return sum;
}

double WeightsOf(const LlamaSizes& s, int kv_inputs) {
  return 2.0 * s.hidden * s.query_width() + 2.0 * kv_inputs * s.kv_width() + 3.0 * s.hidden * s.mlp;
}

// Layers of a tower or of a diffusion transformer; each row sees `seen` of them.
LayerWork Encoder(LayerKind kind, const VisionSizes& v, int rows, int times) {
  const double width = v.hidden, weights = 4 * width * width + 2 * width * v.mlp;
  return {.kind = kind,
          .rows = rows,
          .times = times,
          .flops = 2 * rows * weights,
          .attention_flops = 4 * width * rows * rows,
          .weights = weights};
}

LayerWork Maps(LayerKind kind, const std::vector<MapSizes>& maps, int rows, int times) {
  const double weights = WeightsOf(maps);
  return {
      .kind = kind, .rows = rows, .times = times, .flops = 2 * rows * weights, .weights = weights};
}

void AddVision(const BackboneShape& shape, InferenceWork* work) {
  for (size_t i = 0; i < shape.towers.size(); ++i) {
    const TowerShape& tower = shape.towers[i];
    const VisionSizes& v = tower.sizes;
    LayerWork patches =
        Maps(LayerKind::kPatches, {{3 * v.patch * v.patch, v.hidden}}, v.patches(), shape.images);
    LayerWork layer = Encoder(LayerKind::kTower, v, tower.rows(), shape.images * v.layers);
    patches.tower = layer.tower = static_cast<int>(i);
    work->layers.push_back(patches);
    work->layers.push_back(layer);
  }
  work->layers.push_back(
      Maps(LayerKind::kConnector, shape.connector, shape.image_tokens, shape.images));
}

void AddText(const BackboneShape& shape, int rows, int passes, InferenceWork* work) {
  const double weights = WeightsOf(shape.text, shape.text.hidden);
  const int times = shape.text.layers * passes;
  work->layers.push_back({.kind = LayerKind::kText,
                          .rows = rows,
                          .times = times,
                          .flops = 2 * rows * weights,
                          .weights = weights});
  work->attention.push_back({.rows = rows, .times = times});
}

void AddExpert(const BackboneShape& shape, InferenceWork* work) {
  const ExpertShape& e = shape.expert;
  const LlamaSizes& s = e.sizes;
  const int kv_inputs = shape.text.kv_width();
  const auto add = [&](LayerKind kind, int layers, double weights, double own) {
    if (layers == 0) return;
    work->layers.push_back({.kind = kind,
                            .rows = e.rows,
                            .times = layers * e.steps,
                            .flops = 2 * e.rows * weights,
                            .attention_flops = own,
                            .weights = weights});
    work->attention.push_back(
        {.rows = e.rows, .times = layers * e.steps, .cross = kind == LayerKind::kCross});
  };
  add(LayerKind::kExpert, s.layers - e.cross_layers, WeightsOf(s, s.hidden),
      4.0 * s.query_width() * e.rows * e.rows);
  add(LayerKind::kCross, e.cross_layers, WeightsOf(s, 0), 0);
  work->layers.push_back(Maps(LayerKind::kExpertMaps, e.maps, e.rows, e.steps));
  work->cross_layers = e.cross_layers;
  work->cross_flops = 2 * 2.0 * kv_inputs * s.kv_width();
}

}  // namespace

std::string_view LayerName(LayerKind kind) {
  switch (kind) {
    case LayerKind::kPatches:
      return "patches";
    case LayerKind::kTower:
      return "vision layer";
    case LayerKind::kConnector:
      return "connector";
    case LayerKind::kState:
      return "state";
    case LayerKind::kText:
      return "language layer";
    case LayerKind::kHead:
      return "language head";
    case LayerKind::kExpert:
      return "expert layer";
    case LayerKind::kCross:
      return "expert crossing";
    case LayerKind::kExpertMaps:
      return "expert maps";
    case LayerKind::kDiffusion:
      return "diffusion layer";
    case LayerKind::kDiffusionMaps:
      return "diffusion maps";
  }
  return "";
}

double InferenceWork::AttentionFlops(double attended) const {
  double rows = 0;
  for (const AttentionWork& a : attention) rows += static_cast<double>(a.rows) * a.times;
  return 4 * query_width * rows * attended;
}

double InferenceWork::Flops(double attended) const {
  double sum = AttentionFlops(attended) + cross_layers * cross_flops * attended;
  for (const LayerWork& layer : layers) sum += layer.times * (layer.flops + layer.attention_flops);
  return sum;
}

InferenceWork WorkOf(const BackboneShape& shape, int block_rows) {
  InferenceWork work;
  work.query_width = shape.text.query_width();
  AddVision(shape, &work);
  if (!shape.maps.empty()) work.layers.push_back(Maps(LayerKind::kState, shape.maps, 1, 1));
  AddText(shape, block_rows, 1, &work);
  for (const PassShape& pass : shape.passes) AddText(shape, pass.tokens, pass.times, &work);
  if (shape.logits > 0) {
    work.layers.push_back(
        Maps(LayerKind::kHead, {{shape.text.hidden, shape.vocabulary}}, 1, shape.logits));
  }
  if (shape.expert.sizes.layers > 0) AddExpert(shape, &work);
  if (const DiffusionShape& d = shape.diffusion; d.sizes.layers > 0) {
    work.layers.push_back(
        Encoder(LayerKind::kDiffusion, d.sizes, d.rows, d.sizes.layers * d.steps));
    work.layers.push_back(Maps(LayerKind::kDiffusionMaps, d.maps, d.rows, d.steps));
  }
  return work;
}

}  // namespace kvla

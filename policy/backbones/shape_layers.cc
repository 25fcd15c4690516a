// SPDX-License-Identifier: Apache-2.0
#include "policy/backbones/shape_layers.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "policy/backbones/attention.h"
#include "policy/backbones/cross_rows.h"
#include "policy/backbones/llama_layer.h"
#include "policy/backbones/vision_tower.h"
#include "tensors/torch.h"

namespace kvla {
namespace {

using Run = std::function<void()>;

constexpr uint64_t kSeed = 1;  // of weights

// `make()` makes a layer, `run(layer)` runs it.
template <class Make, class RunOne>
Run InTurns(int copies, const Make& make, RunOne run) {
  using Layer = decltype(make());
  auto layers = std::make_shared<std::vector<Layer>>();
  for (int i = 0; i < copies; ++i) layers->push_back(make());
  return [layers, run = std::move(run), next = size_t{0}]() mutable {
    const c10::InferenceMode inference;
    run((*layers)[next]);
    next = (next + 1) % layers->size();
  };
}

std::vector<LinearMap> TakeMaps(const std::vector<MapSizes>& maps) {
  NamedWeights weights(kSeed);
  std::vector<LinearMap> taken;
  for (const MapSizes& map : maps) {
    taken.push_back(weights.TakeLinear("map", map.outputs, map.inputs, map.bias));
  }
  return taken;
}

// Each map over rows of its own: what lies between them is not worth its time.
Run MakeMaps(const std::vector<MapSizes>& maps, int rows, int copies) {
  std::vector<at::Tensor> inputs;
  for (const MapSizes& map : maps) inputs.push_back(torch::randn({rows, map.inputs}));
  return InTurns(
      copies, [&] { return TakeMaps(maps); },
      [inputs](const std::vector<LinearMap>& all) {
        for (size_t i = 0; i < all.size(); ++i) all[i](inputs[i]);
      });
}

Run MakeEncoderLayer(const VisionSizes& sizes, int rows, int copies) {
  return InTurns(
      copies,
      [&] {
        NamedWeights weights(kSeed);
        return VisionLayer(&weights, "", sizes);
      },
      [x = torch::randn({rows, sizes.hidden})](const VisionLayer& layer) { layer.Run(x); });
}

Run MakePatches(VisionSizes sizes, int copies) {
  sizes.layers = 0;
  return InTurns(
      copies,
      [&] {
        NamedWeights weights(kSeed);
        return VisionTower(&weights, "", sizes);
      },
      [x = torch::randn({3, sizes.image, sizes.image})](const VisionTower& tower) {
        tower.Run(x, {}, "");
      });
}

// `queries` alone, or keys and values too; then what lies behind attention.
Run MakeLlamaLayer(const LlamaSizes& sizes, LayerKind kind, int rows, int copies) {
  return InTurns(
      copies,
      [&] {
        NamedWeights weights(kSeed);
        return LlamaLayer(&weights, "", sizes, sizes.hidden);
      },
      [kind, x = torch::randn({rows, sizes.hidden})](const LlamaLayer& layer) {
        if (kind == LayerKind::kCross) {
          layer.Output(x, layer.Queries(layer.Normed(x)));
          return;
        }
        const Qkv own = layer.Project(x);
        layer.Output(x, kind == LayerKind::kExpert ? AttendAll(own.q, own.k, own.v).out : own.q);
      });
}

}  // namespace

std::function<void()> MakeLayer(const BackboneShape& shape, const LayerWork& work,
                                int64_t cold_bytes) {
  const int64_t bytes = static_cast<int64_t>(work.weights) * sizeof(float);
  const auto copies = static_cast<int>(
      std::clamp<int64_t>((cold_bytes + bytes - 1) / bytes, 1, std::max(1, work.times)));
  switch (work.kind) {
    case LayerKind::kPatches:
      return MakePatches(shape.towers.at(work.tower).sizes, 1);
    case LayerKind::kTower:
      return MakeEncoderLayer(shape.towers.at(work.tower).sizes, work.rows, copies);
    case LayerKind::kConnector:
      return MakeMaps(shape.connector, work.rows, 1);
    case LayerKind::kState:
      return MakeMaps(shape.maps, work.rows, 1);
    case LayerKind::kText:
      return MakeLlamaLayer(shape.text, work.kind, work.rows, copies);
    case LayerKind::kHead:
      return MakeMaps({{shape.text.hidden, shape.vocabulary, /*bias=*/false}}, work.rows, 1);
    case LayerKind::kExpert:
    case LayerKind::kCross:
      return MakeLlamaLayer(shape.expert.sizes, work.kind, work.rows, copies);
    case LayerKind::kExpertMaps:
      return MakeMaps(shape.expert.maps, work.rows, 1);
    case LayerKind::kDiffusion:
      return MakeEncoderLayer(shape.diffusion.sizes, work.rows, copies);
    case LayerKind::kDiffusionMaps:
      return MakeMaps(shape.diffusion.maps, work.rows, 1);
  }
  return {};
}

std::function<KvRows(const KvRows&)> MakeCrossMaps(const BackboneShape& shape) {
  NamedWeights weights(kSeed);
  const LlamaLayer layer(&weights, "", shape.expert.sizes, shape.text.kv_width());
  return [layer](const KvRows& held) {
    const c10::InferenceMode inference;
    return CrossRowsOf(layer, held);
  };
}

}  // namespace kvla

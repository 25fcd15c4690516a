// SPDX-License-Identifier: Apache-2.0
#include "policy/backbones/smolvla/smolvla_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/config_io.h"
#include "base/files.h"
#include "policy/backbones/smolvla/smolvla.h"

namespace kvla {
namespace {

constexpr const char* kAdapterFile = "adapter.yaml";
constexpr int kUsualPrompt = 16;  // tokens, before an episode says its instruction

bool IsEmptyCamera(const std::string& feature) {
  return feature.find("empty_camera_") != std::string::npos;
}

Result<AdapterConfig> AdapterOf(const PolicySource& source) {
  AdapterConfig adapter = source.adapter;
  const bool said = PrintConfig(adapter) != PrintConfig(AdapterConfig());
  const std::filesystem::path file = source.checkpoint / kAdapterFile;
  if (!said && !source.checkpoint.empty() && Exists(file)) {
    if (Status s = LoadConfigFile(file, {}, &adapter); !s.ok()) return s;
  }
  if (source.checkpoint.empty() && adapter.cameras.empty()) {
    for (const char* name : {"front", "wrist"}) {
      AdapterCamera camera;
      camera.camera = name;
      camera.feature = std::string("observation.images.") + name;
      adapter.cameras.push_back(std::move(camera));
    }
  }
  return adapter;
}

Result<SmolVlaConfig> ConfigOf(const PolicySource& source, const AdapterConfig& adapter) {
  if (!source.checkpoint.empty()) return LoadSmolVlaConfig(source.checkpoint);
  std::vector<CameraFeature> cameras;
  for (const AdapterCamera& c : adapter.cameras) cameras.push_back({c.feature, c.height, c.width});
  return PublishedSmolVla(source.backbone.layers, cameras, StateNumbers(adapter),
                          ActionNumbers(adapter));
}

PolicyDescription DescriptionOf(const PolicySource& source, const SmolVlaConfig& config,
                                const Adapter& adapter) {
  PolicyDescription made;
  made.random_weights = source.checkpoint.empty();
  PolicySpec& spec = made.spec;
  for (const AdapterCamera& c : adapter.config().cameras) {
    spec.cameras.push_back({c.camera, c.width, c.height});
  }
  spec.replan_steps = adapter.config().replan_steps;
  const auto images = static_cast<int>(spec.cameras.size());
  const int prompt = std::min(kUsualPrompt, config.max_prompt);
  spec.attention = HistoryGeometryOf(config, images, prompt, 0, source.backbone.age_clamp_blocks);
  spec.tokens_per_block = spec.attention->tokens_per_block;
  made.card = {{"policy",
                fmt::format("SmolVLA over {}: vision {}, language {}, expert {} layers; {} images; "
                            "{} tokens an inference with a prompt of {}",
                            config.vlm_name, config.vlm.vision.layers, config.vlm.text.layers,
                            config.expert.layers, images, spec.tokens_per_block, prompt)},
               {"weights", made.random_weights
                               ? fmt::format("random (seed {}): costs are true, no success is said",
                                             source.backbone.seed)
                               : source.checkpoint.filename().string()}};
  for (auto& item : adapter.Card()) made.card.push_back(std::move(item));
  return made;
}

}  // namespace

Result<SmolVlaPlan> PlanSmolVla(const PolicySource& source) {
  if (source.device != "cpu") {
    return BadInput(fmt::format("device {}: SmolVLA runs on the CPU here", source.device));
  }
  const Result<AdapterConfig> wanted = AdapterOf(source);
  if (!wanted.ok()) return wanted.status();
  Result<SmolVlaConfig> config = ConfigOf(source, *wanted);
  if (!config.ok()) return config.status();
  CheckpointSide side;
  for (const CameraFeature& camera : config->cameras) {
    if (!IsEmptyCamera(camera.name)) side.cameras.push_back(camera.name);
  }
  side.state = config->state;
  side.action = config->action;
  side.chunk = config->chunk;
  side.statistics = source.checkpoint.empty() ? "none: random weights"
                                              : "the checkpoint's pre- and post-processor";
  Result<Adapter> adapter = Adapter::Create(*wanted, side, source.robot);
  if (!adapter.ok()) return adapter.status();
  PolicyDescription description = DescriptionOf(source, *config, *adapter);
  SmolVlaPlan plan{*std::move(config), *std::move(adapter), std::move(description), {}};
  size_t next = 0;
  for (const CameraFeature& camera : plan.config.cameras) {
    const bool there = !IsEmptyCamera(camera.name);
    plan.cameras.push_back(there ? std::optional(plan.adapter.cameras()[next++]) : std::nullopt);
  }
  return plan;
}

}  // namespace kvla

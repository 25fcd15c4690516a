// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "apps/commands.h"
#include "base/json_text.h"
#include "base/streams.h"
#include "kv_efficient/cost_model.h"
#include "policy/backbones/smolvla/smolvla.h"
#include "policy/backbones/smolvla/smolvla_flops.h"

namespace kvla {
namespace {

constexpr int kPrompt = 16;

struct BackboneFlags {
  std::string folder;
  int images = 0;  // 0: all cameras
  int prompt = 0;  // 0: kPrompt, or the most that it takes if that is less
  bool json = false;
};

nlohmann::json BackboneJson(const SmolVla& model, int images, int prompt) {
  const SmolVlaConfig& c = model.config();
  const SmolVlaFlops flops = SmolVlaFlopsOf(c, images, prompt);
  const CacheGeometry geometry = model.Geometry(images, prompt);
  nlohmann::json cameras = nlohmann::json::array();
  for (const CameraFeature& camera : c.cameras) {
    cameras.push_back({{"name", camera.name}, {"width", camera.width}, {"height", camera.height}});
  }
  return {{"type", "smolvla"},
          {"vlm", c.vlm_name},
          {"parameters", model.parameters()},
          {"cameras", cameras},
          {"state", c.state},
          {"action", c.action},
          {"chunk", c.chunk},
          {"action_steps", c.action_steps},
          {"euler_steps", c.euler_steps},
          {"layers", c.vlm.text.layers},
          {"hidden", c.vlm.text.hidden},
          {"heads", c.vlm.text.heads},
          {"kv_heads", c.vlm.text.kv_heads},
          {"head_dim", c.vlm.text.head_dim},
          {"expert_layers", c.expert.layers},
          {"expert_hidden", c.expert.hidden},
          {"tokens_per_image", c.vlm.tokens_per_image()},
          {"images", images},
          {"prompt", prompt},
          {"prefix_tokens", geometry.tokens_per_block},
          {"kv_bytes", KvBytes(geometry, geometry.tokens_per_block)},
          {"flops",
           {{"vision", flops.vision},
            {"linear", flops.linear},
            {"attention", flops.attention},
            {"expert_linear", flops.expert_linear},
            {"expert_attention", flops.expert_attention},
            {"total", flops.total()}}}};
}

std::string BackboneText(const SmolVla& model, const nlohmann::json& json) {
  const SmolVlaConfig& c = model.config();
  const VisionSizes& v = c.vlm.vision;
  std::string text = fmt::format("SmolVLA over {}: {:.1f} million parameters\n", c.vlm_name,
                                 static_cast<double>(model.parameters()) / 1e6);
  const auto line = [&](const char* what, const std::string& is) {
    text += fmt::format("  {:<9} {}\n", what, is);
  };
  line("vision",
       fmt::format("{} layers x {}, {} heads; {} pixels in patches of {}: {} tokens an "
                   "image",
                   v.layers, v.hidden, v.heads, v.image, v.patch, c.vlm.tokens_per_image()));
  line("language",
       fmt::format("{} layers x {}, {} heads on {} KV heads of {}", c.vlm.text.layers,
                   c.vlm.text.hidden, c.vlm.text.heads, c.vlm.text.kv_heads, c.vlm.text.head_dim));
  line("expert",
       fmt::format("{} layers x {}, {} of them attend to the prefix alone; {} Euler steps",
                   c.expert.layers, c.expert.hidden, std::ranges::count(c.cross, true),
                   c.euler_steps));
  for (const CameraFeature& camera : c.cameras) {
    line("camera", fmt::format("{} ({} x {})", camera.name, camera.width, camera.height));
  }
  line("robot", fmt::format("state of {}, chunk of {} actions of {}, of which {} are executed",
                            c.state, c.chunk, c.action, c.action_steps));
  text += fmt::format(
      "An inference of {} images and {} prompt tokens: {} tokens, {:.3f} MB of keys and values in "
      "f32\n",
      json["images"].get<int>(), json["prompt"].get<int>(), json["prefix_tokens"].get<int>(),
      json["kv_bytes"].get<double>() / 1e6);
  for (const auto& [part, flops] : json["flops"].items()) {
    text += fmt::format("  {:<17} {:>12.4f} GFLOP\n", part, flops.get<double>() / 1e9);
  }
  return text;
}

int RunBackboneCommand(const BackboneFlags& flags) {
  const auto model = SmolVla::Load(flags.folder);
  if (!model.ok()) return ReportStatus(model.status());
  const int cameras = static_cast<int>((*model)->config().cameras.size());
  const int longest = (*model)->config().max_prompt;
  const int images = flags.images == 0 ? cameras : flags.images;
  const int prompt = flags.prompt == 0 ? std::min(kPrompt, longest) : flags.prompt;
  if (images > cameras || prompt > longest) {
    return ReportStatus(
        BadInput(fmt::format("{}: {} images and {} prompt tokens: it takes {} and {} at most",
                             flags.folder, images, prompt, cameras, longest)));
  }
  const nlohmann::json json = BackboneJson(**model, images, prompt);
  Print("{}", flags.json ? JsonText(json, 2) + "\n" : BackboneText(**model, json));
  return kExitDone;
}

}  // namespace

CLI::App* AddBackbone(CLI::App& parent, const AppContext&, int* exit_code) {
  auto flags = std::make_shared<BackboneFlags>();
  CLI::App* command = parent.add_subcommand(
      "backbone", "What a published checkpoint's folder holds, and what an inference costs");
  command->add_option("folder", flags->folder, "A SmolVLA as LeRobot saves it")->required();
  command->add_option("--images", flags->images, "Images of an inference (all cameras)")
      ->check(CLI::PositiveNumber);
  command->add_option("--prompt", flags->prompt, "Tokens of its prompt (16)")
      ->check(CLI::PositiveNumber);
  command->add_flag("--json", flags->json, "For programs");
  command->callback([flags, exit_code] { *exit_code = RunBackboneCommand(*flags); });
  return command;
}

}  // namespace kvla

// SPDX-License-Identifier: Apache-2.0
// Sizes of a SmolVLA checkpoint, as LeRobot writes its config.json. No torch.
#ifndef KVLA_POLICY_BACKBONES_SMOLVLA_SMOLVLA_CONFIG_H_
#define KVLA_POLICY_BACKBONES_SMOLVLA_SMOLVLA_CONFIG_H_

#include <filesystem>
#include <string>
#include <vector>

#include "base/status.h"
#include "policy/backbones/sizes.h"

namespace kvla {

// The vision-language model that `vlm_model_name` names; the config itself does not hold its sizes.
struct VlmSizes {
  VisionSizes vision;
  int pixel_shuffle = 0;  // so many patches a side become one token
  LlamaSizes text;        // all layers; a policy has the first ones
  int vocabulary = 0;
  int tokens_per_image() const { return vision.patches() / (pixel_shuffle * pixel_shuffle); }
};

struct CameraFeature {
  std::string name;  // "observation.images.top"
  int height = 0, width = 0;
};

struct SmolVlaConfig {
  std::string vlm_name;
  VlmSizes vlm;       // with the layers that the policy has
  LlamaSizes expert;  // of action tokens
  // The expert layer beside a layer of the language model, or -1: there is none.
  std::vector<int> expert_layer;
  // By expert layer: it attends to the prefix alone, through its own maps of keys and values.
  std::vector<bool> cross;

  std::vector<CameraFeature> cameras;  // in the order of their tokens
  int state = 0, action = 0;           // the robot's own dimensions
  int max_state = 0, max_action = 0;   // those of the model; padded with zeros
  int chunk = 0, action_steps = 0;     // actions of an inference, and of those that are executed
  int euler_steps = 0;
  double min_period = 0, max_period = 0;  // of the time embedding
  int max_prompt = 0;                     // tokens

  int prefix_tokens(int images, int prompt) const {
    return images * vlm.tokens_per_image() + prompt + 1;
  }
};

// `text` is config.json. BadInput names the key that is missing, contradicts another or asks for
// something that is not supported here. `vlm` are the sizes of what `vlm_model_name` says.
Result<SmolVlaConfig> ParseSmolVlaConfig(const std::string& text, const VlmSizes& vlm);
// config.json's `vlm_model_name`; BadInput where the file is no SmolVLA's.
Result<std::string> ParseVlmName(const std::string& text);
// `text` is a SmolVLM's own config.json (transformers' SmolVLMConfig).
Result<VlmSizes> ParseVlmSizes(const std::string& text);

// The published sizes with at most `layers` layers in each of the vision tower, the language model
// and the expert (0: all), for these cameras and a robot's state and action of so many numbers.
Result<SmolVlaConfig> PublishedSmolVla(int layers, const std::vector<CameraFeature>& cameras,
                                       int state, int action);

// Of a folder. What `vlm_model_name` names is one of the published models (smolvlm_table), or a
// folder in it with that model's config.json.
Result<SmolVlaConfig> LoadSmolVlaConfig(const std::filesystem::path& folder);

}  // namespace kvla

#endif  // KVLA_POLICY_BACKBONES_SMOLVLA_SMOLVLA_CONFIG_H_

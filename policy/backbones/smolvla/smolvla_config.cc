// SPDX-License-Identifier: Apache-2.0
// Keys and defaults are those of LeRobot 0.6.1 (configuration_smolvla.py, smolvlm_with_expert.py)
// and of transformers' SmolVLMConfig.
#include "policy/backbones/smolvla/smolvla_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "base/files.h"
#include "policy/backbones/json_fields.h"

namespace kvla {
namespace {

constexpr int kMostSize = 1 << 20, kMostHeads = 1 << 10, kMostLayers = 1000;
constexpr int kMostTokens = 1 << 17;  // of a prefix
constexpr int kMlpMultiple = 256;     // of an expert's MLP
constexpr int kPublishedLayers = 16;  // of the VLM's, num_vlm_layers

struct PublishedVlm {
  const char* name;
  VlmSizes sizes;
};

// HuggingFaceTB's config.json.
const PublishedVlm kPublished[] = {
    {"HuggingFaceTB/SmolVLM2-500M-Video-Instruct",
     {.vision = {.image = 512, .patch = 16, .hidden = 768, .layers = 12, .heads = 12, .mlp = 3072},
      .pixel_shuffle = 4,
      .text =
          {.hidden = 960, .layers = 32, .heads = 15, .kv_heads = 5, .head_dim = 64, .mlp = 2560},
      .vocabulary = 49280}},
};

Status CheckHeads(const LlamaSizes& s) {
  if (s.heads % s.kv_heads == 0 && s.head_dim % 2 == 0) return {};
  return BadInput(
      fmt::format("{} heads of {} over {} KV heads: heads are shared evenly, and have an "
                  "even width",
                  s.heads, s.head_dim, s.kv_heads));
}

Result<LlamaSizes> ReadText(const Json& json, int* vocabulary) {
  JsonFields in(json);
  LlamaSizes s;
  s.hidden = in.Int("hidden_size", 1, kMostSize);
  s.layers = in.Int("num_hidden_layers", 1, kMostLayers);
  s.heads = in.Int("num_attention_heads", 1, kMostHeads);
  s.kv_heads = in.Int("num_key_value_heads", 1, kMostHeads, s.heads);
  s.head_dim = in.Int("head_dim", 1, kMostHeads, std::max(1, s.hidden / s.heads));
  s.mlp = in.Int("intermediate_size", 1, kMostSize);
  s.epsilon = in.Number("rms_norm_eps", 0, 1, 1e-6);
  *vocabulary = in.Int("vocab_size", 1, 1 << 24);
  if (in.Flag("attention_bias", false)) in.Refuse("attention_bias", "true is not supported");
  if (in.Flag("mlp_bias", false)) in.Refuse("mlp_bias", "true is not supported");
  if (in.Text("hidden_act", "silu") != "silu") in.Refuse("hidden_act", "only silu is supported");
  if (!in.status().ok()) return in.status();
  if (Status status = CheckHeads(s); !status.ok()) return status;
  return s;
}

Result<VisionSizes> ReadVision(const Json& json) {
  JsonFields in(json);
  VisionSizes s;
  s.image = in.Int("image_size", 1, 1 << 12, 224);
  s.patch = in.Int("patch_size", 1, 1 << 12, 32);
  s.hidden = in.Int("hidden_size", 1, kMostSize, 1152);
  s.layers = in.Int("num_hidden_layers", 1, kMostLayers, 12);
  s.heads = in.Int("num_attention_heads", 1, kMostHeads, 16);
  s.mlp = in.Int("intermediate_size", 1, kMostSize, 3072);
  s.epsilon = in.Number("layer_norm_eps", 0, 1, 1e-6);
  if (in.Int("num_channels", 1, kMostSize, 3) != 3) in.Refuse("num_channels", "3 are wanted");
  if (in.Text("hidden_act", "gelu_pytorch_tanh") != "gelu_pytorch_tanh") {
    in.Refuse("hidden_act", "only gelu_pytorch_tanh is supported");
  }
  if (s.image % s.patch != 0) in.Refuse("patch_size", "it does not divide image_size");
  if (s.hidden % s.heads != 0) in.Refuse("num_attention_heads", "they do not divide hidden_size");
  if (!in.status().ok()) return in.status();
  return s;
}

// The expert's layers among those of the language model, and what they attend to. LeRobot makes an
// odd layer's maps by its index in the expert and runs it by its index in the language model: only
// where both agree is there a model.
Status PlaceExpert(int count, const std::string& mode, int every, SmolVlaConfig* config) {
  const int layers = config->vlm.text.layers;
  config->expert.layers = count > 0 ? count : layers;
  if (layers % config->expert.layers != 0) {
    return BadInput(
        fmt::format("num_expert_layers: {} do not divide the {} of the VLM", count, layers));
  }
  const int step = layers / config->expert.layers;
  const bool crosses = mode.find("cross") != std::string::npos;
  const auto is_cross = [&](int i) { return crosses && !(every > 0 && i % every == 0); };
  for (int i = 0; i < layers; ++i) {
    const bool has = i % step == 0;
    config->expert_layer.push_back(has ? i / step : -1);
    if (has) config->cross.push_back(is_cross(i));
    if (has ? is_cross(i) != is_cross(i / step) : !is_cross(i)) {
      return BadInput(fmt::format(
          "num_expert_layers: with {} expert layers beside {}, layer {} cannot attend as "
          "self_attn_every_n_layers {} says; LeRobot cannot run it either",
          config->expert.layers, layers, i, every));
    }
  }
  return {};
}

Status ReadFeatures(JsonFields* in, SmolVlaConfig* config) {
  const auto sizes_of = [](const Json& feature) {
    std::vector<int> sizes;
    const auto shape = feature.find("shape");
    if (shape == feature.end() || !shape->is_array()) return sizes;
    for (const Json& n : *shape) {
      const bool fits = n.is_number_integer() && n >= 1 && n <= kMostSize;
      sizes.push_back(fits ? n.get<int>() : 0);
    }
    return sizes;
  };
  for (const char* list : {"input_features", "output_features"}) {
    for (const auto& [name, feature] : in->Object(list).items()) {
      const std::string type = feature.is_object() ? feature.value("type", Json()).dump() : "";
      const std::vector<int> sizes = feature.is_object() ? sizes_of(feature) : std::vector<int>();
      const bool vector = sizes.size() == 1 && sizes[0] > 0;
      const bool image = sizes.size() == 3 && sizes[0] == 3 && sizes[1] > 0 && sizes[2] > 0;
      if (type == "\"VISUAL\"" && image) {
        config->cameras.push_back({name, sizes[1], sizes[2]});
      } else if (type == "\"STATE\"" && name == "observation.state" && vector) {
        config->state = sizes[0];
      } else if (type == "\"ACTION\"" && name == "action" && vector) {
        config->action = sizes[0];
      } else {
        return BadInput(fmt::format(
            "{}: '{}' is neither a camera of [3, height, width], observation.state [n] nor "
            "action [n]",
            list, name));
      }
    }
  }
  if (config->cameras.empty()) in->Refuse("input_features", "there is no camera");
  if (config->state < 1 || config->state > config->max_state) {
    in->Refuse("input_features", "observation.state is missing or longer than max_state_dim");
  }
  if (config->action < 1 || config->action > config->max_action) {
    in->Refuse("output_features", "action is missing or longer than max_action_dim");
  }
  return in->status();
}

void RefuseUnsupported(JsonFields* in, const VlmSizes& vlm) {
  for (const char* key : {"adapt_to_pi_aloha", "use_delta_joint_actions_aloha",
                          "add_image_special_tokens", "use_peft"}) {
    if (in->Flag(key, false)) in->Refuse(key, "true is not supported");
  }
  if (in->Int("n_obs_steps", 1, kMostSize, 1) != 1) in->Refuse("n_obs_steps", "1 is supported");
  const Json& rtc = in->Object("rtc_config", /*needed=*/false);
  if (JsonFields(rtc).Flag("enabled", false)) {
    in->Refuse("rtc_config", "real-time chunking is not supported");
  }
  const Json& resize = in->Any("resize_imgs_with_padding");
  const Json wanted = Json::array({vlm.vision.image, vlm.vision.image});
  if (!resize.is_null() && resize != wanted) {
    in->Refuse("resize_imgs_with_padding",
               fmt::format("{} is wanted, the VLM's own images", wanted.dump()));
  }
}

}  // namespace

Result<std::string> ParseVlmName(const std::string& text) {
  const Result<Json> json = ParseJsonObject(text);
  if (!json.ok()) return json.status();
  JsonFields in(*json);
  if (in.Text("type") != "smolvla") in.Refuse("type", "\"smolvla\" is wanted");
  std::string name = in.Text("vlm_model_name", "HuggingFaceTB/SmolVLM2-500M-Video-Instruct");
  return in.status().ok() ? Result<std::string>(std::move(name)) : in.status();
}

Result<VlmSizes> ParseVlmSizes(const std::string& text) {
  const Result<Json> json = ParseJsonObject(text);
  if (!json.ok()) return json.status();
  JsonFields in(*json);
  VlmSizes sizes;
  sizes.pixel_shuffle = in.Int("scale_factor", 1, 1 << 14, 2);
  const Json& text_config = in.Object("text_config");
  const Json& vision_config = in.Object("vision_config");
  if (!in.status().ok()) return in.status();
  const Result<LlamaSizes> llama = ReadText(text_config, &sizes.vocabulary);
  if (!llama.ok()) return llama.status().In("text_config");
  const Result<VisionSizes> vision = ReadVision(vision_config);
  if (!vision.ok()) return vision.status().In("vision_config");
  sizes.text = *llama;
  sizes.vision = *vision;
  if (vision->grid() % sizes.pixel_shuffle != 0) {
    return BadInput(fmt::format("scale_factor: {} does not divide the {} patches of a side",
                                sizes.pixel_shuffle, vision->grid()));
  }
  return sizes;
}

Result<SmolVlaConfig> ParseSmolVlaConfig(const std::string& text, const VlmSizes& vlm) {
  Result<std::string> name = ParseVlmName(text);
  if (!name.ok()) return name.status();
  const Result<Json> json = ParseJsonObject(text);
  JsonFields in(*json);
  SmolVlaConfig config;
  config.vlm_name = *std::move(name);
  config.vlm = vlm;
  config.max_state = in.Int("max_state_dim", 1, kMostSize, 32);
  config.max_action = in.Int("max_action_dim", 1, kMostSize, 32);
  config.chunk = in.Int("chunk_size", 1, kMostSize, 50);
  config.action_steps = in.Int("n_action_steps", 1, config.chunk, std::min(50, config.chunk));
  config.euler_steps = in.Int("num_steps", 1, 10'000, 10);
  config.min_period = in.Number("min_period", 1e-9, 1e9, 4e-3);
  config.max_period = in.Number("max_period", 1e-9, 1e9, 4.0);
  config.max_prompt = in.Int("tokenizer_max_length", 1, kMostSize, 48);
  RefuseUnsupported(&in, vlm);
  const int layers = in.Int("num_vlm_layers", -1, vlm.text.layers, kPublishedLayers);
  if (layers > 0) config.vlm.text.layers = layers;  // else all
  const double width = in.Number("expert_width_multiplier", 1e-6, 16, 0.75);
  const std::string mode = in.Text("attention_mode", "cross_attn");
  const int count = in.Int("num_expert_layers", -1, kMostLayers, -1);
  const int every = in.Int("self_attn_every_n_layers", -1, kMostLayers, 2);
  if (Status s = ReadFeatures(&in, &config); !s.ok()) return s;
  const int64_t tokens = int64_t{vlm.tokens_per_image()} * std::ssize(config.cameras) +
                         config.max_prompt + 1 + config.chunk;
  if (tokens > kMostTokens) {
    return BadInput(fmt::format("{} tokens of images, prompt, state and actions: {} is the most",
                                tokens, kMostTokens));
  }
  config.expert = vlm.text;
  config.expert.hidden = static_cast<int>(vlm.text.hidden * width);
  if (config.expert.hidden < 2 || config.expert.hidden % 2 != 0) {
    return BadInput(
        fmt::format("expert_width_multiplier: a width of {} is not even", config.expert.hidden));
  }
  const int mlp = 4 * (2 * config.expert.hidden / 3);
  config.expert.mlp = (mlp + kMlpMultiple - 1) / kMlpMultiple * kMlpMultiple;
  if (Status s = PlaceExpert(count, mode, every, &config); !s.ok()) return s;
  return config;
}

Result<SmolVlaConfig> PublishedSmolVla(int layers, const std::vector<CameraFeature>& cameras,
                                       int state, int action) {
  const PublishedVlm& published = kPublished[0];
  VlmSizes vlm = published.sizes;
  Json config = {{"type", "smolvla"}, {"vlm_model_name", published.name}};
  if (layers > 0) {
    vlm.vision.layers = std::min(vlm.vision.layers, layers);
    config["num_vlm_layers"] = std::min(layers, kPublishedLayers);
  }
  Json& inputs = config["input_features"] = Json::object();
  for (const CameraFeature& c : cameras) {
    inputs[c.name] = {{"type", "VISUAL"}, {"shape", {3, c.height, c.width}}};
  }
  inputs["observation.state"] = {{"type", "STATE"}, {"shape", {state}}};
  config["output_features"]["action"] = {{"type", "ACTION"}, {"shape", {action}}};
  return ParseSmolVlaConfig(config.dump(), vlm);
}

Result<SmolVlaConfig> LoadSmolVlaConfig(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / "config.json";
  const Result<std::string> text = ReadFile(path);
  if (!text.ok()) return text.status();
  const Result<std::string> name = ParseVlmName(*text);
  if (!name.ok()) return name.status().In(path.string());
  std::optional<VlmSizes> vlm;
  std::string known;
  for (const PublishedVlm& published : kPublished) {
    if (*name == published.name) vlm = published.sizes;
    known += fmt::format("{}{}", known.empty() ? "" : ", ", published.name);
  }
  if (!vlm) {
    const std::filesystem::path own = folder / *name / "config.json";
    const Result<std::string> own_text = ReadFile(own);
    if (!own_text.ok()) {
      return BadInput(fmt::format(
          "{}: vlm_model_name '{}' is not known here ({}), nor is there its own config.json at {}",
          path.string(), *name, known, own.string()));
    }
    const Result<VlmSizes> sizes = ParseVlmSizes(*own_text);
    if (!sizes.ok()) return sizes.status().In(own.string());
    vlm = *sizes;
  }
  Result<SmolVlaConfig> config = ParseSmolVlaConfig(*text, *vlm);
  return config.ok() ? std::move(config) : config.status().In(path.string());
}

}  // namespace kvla

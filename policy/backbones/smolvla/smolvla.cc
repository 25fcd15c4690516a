// SPDX-License-Identifier: Apache-2.0
// What is computed, and in which order, follows LeRobot 0.6.1 (modeling_smolvla.py). Two things are
// done less often: padded tokens and cameras that are not there, which nothing attends to, are
// never made; the expert's maps of the prefix are made once, not at every step.
#include "policy/backbones/smolvla/smolvla.h"

#include <fmt/format.h>

#include <cmath>
#include <string>
#include <utility>

#include "tensors/torch.h"
#include "tensors/weight_folder.h"

namespace kvla {
namespace {

constexpr double kRopeTheta = 10'000;  // LeRobot's apply_rope, whatever the VLM's config says
const char* const kVlm = "model.vlm_with_expert.vlm.";

// Weights from before the processors had files hold the statistics.
Status RefuseOldLayout(const TensorFile& file) {
  for (const auto& [name, tensor] : file.tensors) {
    if (name.starts_with("normalize_") || name.starts_with("unnormalize_")) {
      return BadInput(fmt::format(
          "tensor '{}' is a statistic: the checkpoint is from before LeRobot 0.4; `python -m "
          "lerobot.processor.migrate_policy_normalization --pretrained-path FOLDER` writes it anew",
          name));
    }
  }
  return {};
}

int LongestSequence(const SmolVlaConfig& config) {
  return config.prefix_tokens(static_cast<int>(config.cameras.size()), config.max_prompt) +
         config.chunk;
}

CacheGeometry GeometryOf(const SmolVlaConfig& config, int images, int prompt) {
  const LlamaSizes& text = config.vlm.text;
  CacheGeometry geometry;
  geometry.layers = text.layers;
  geometry.heads = text.heads;
  geometry.kv_heads = text.kv_heads;
  geometry.head_dim = text.head_dim;
  geometry.tokens_per_block = config.prefix_tokens(images, prompt);
  geometry.max_blocks = 1;
  geometry.rope_theta = 0;  // rows come rotated
  return geometry;
}

}  // namespace

SmolVla::SmolVla(SmolVlaConfig config, Processors processors, NamedWeights* weights)
    : config_(std::move(config)),
      processors_(std::move(processors)),
      rotary_(std::make_shared<RotaryTable>(config_.vlm.text.head_dim, kRopeTheta,
                                            LongestSequence(config_))),
      vision_(weights, std::string(kVlm) + "model.vision_model.", config_.vlm.vision),
      expert_(weights, config_, rotary_) {
  const VlmSizes& vlm = config_.vlm;
  const LlamaSizes& text = vlm.text;
  const std::string model = std::string(kVlm) + "model.", own = model + "text_model.";
  connector_ = weights->TakeLinear(
      model + "connector.modality_projection.proj", text.hidden,
      int64_t{vlm.pixel_shuffle} * vlm.pixel_shuffle * vlm.vision.hidden, /*bias=*/false);
  embeddings_ = weights->Take(own + "embed_tokens.weight", {vlm.vocabulary, text.hidden});
  for (int i = 0; i < text.layers; ++i) {
    layers_.emplace_back(weights, own + "layers." + std::to_string(i) + ".", text, text.hidden);
  }
  norm_ = weights->Take(own + "norm.weight", {text.hidden});
  weights->Leave(std::string(kVlm) + "lm_head.weight", {vlm.vocabulary, text.hidden});
  state_ = weights->TakeLinear("model.state_proj", text.hidden, config_.max_state, /*bias=*/true);
  parameters_ = weights->parameters();
}

Result<std::unique_ptr<SmolVla>> SmolVla::Load(const std::filesystem::path& folder) {
  Result<SmolVlaConfig> config = LoadSmolVlaConfig(folder);
  if (!config.ok()) return config.status();
  Result<TensorFile> file = MapWeightFolder(folder);
  if (!file.ok()) return file.status();
  if (Status s = RefuseOldLayout(*file); !s.ok()) return s.In(folder.string());
  try {
    Result<Processors> processors = LoadProcessors(folder, config->state, config->action);
    if (!processors.ok()) return processors.status();
    NamedWeights weights(std::move(file->tensors));
    std::unique_ptr<SmolVla> model(
        new SmolVla(*std::move(config), *std::move(processors), &weights));
    if (Status s = weights.Finish(); !s.ok()) return s.In(folder.string());
    return model;
  } catch (const c10::Error& e) {
    return BadInput(fmt::format("{}: {}", folder.string(), e.what_without_backtrace()));
  }
}

Result<std::unique_ptr<SmolVla>> SmolVla::Random(SmolVlaConfig config, uint64_t seed) {
  try {
    Processors processors;
    processors.before.newline = true;
    processors.before.max_prompt = config.max_prompt;
    NamedWeights weights(seed);
    std::unique_ptr<SmolVla> model(new SmolVla(std::move(config), std::move(processors), &weights));
    return model;
  } catch (const c10::Error& e) {
    return BadInput(fmt::format("random weights: {}", e.what_without_backtrace()));
  }
}

CacheGeometry SmolVla::Geometry(int images, int prompt) const {
  return GeometryOf(config_, images, prompt);
}

CacheGeometry HistoryGeometryOf(const SmolVlaConfig& config, int images, int prompt, int inferences,
                                int age_clamp) {
  CacheGeometry geometry = GeometryOf(config, images, prompt);
  geometry.max_blocks = inferences;
  geometry.rope_theta = kRopeTheta;
  geometry.positions_per_block = geometry.tokens_per_block;
  geometry.age_clamp_blocks = age_clamp;
  return geometry;
}

CacheGeometry SmolVla::HistoryGeometry(int images, int prompt, int inferences,
                                       int age_clamp) const {
  return HistoryGeometryOf(config_, images, prompt, inferences, age_clamp);
}

std::vector<int64_t> SmolVla::PromptIds(const BytePair& tokenizer,
                                        std::string_view instruction) const {
  std::string text(instruction);
  if (processors_.before.newline && !text.ends_with('\n')) text += '\n';
  std::vector<int64_t> ids = tokenizer.Encode(text);
  if (ids.size() > static_cast<size_t>(config_.max_prompt)) ids.resize(config_.max_prompt);
  return ids;
}

Status SmolVla::CheckInput(const SmolVlaInput& input) const {
  if (input.images.size() != config_.cameras.size()) {
    return BadInput(
        fmt::format("{} images for {} cameras", input.images.size(), config_.cameras.size()));
  }
  int there = 0;
  for (size_t i = 0; i < input.images.size(); ++i) {
    const at::Tensor& image = input.images[i];
    if (!image.defined()) continue;
    ++there;
    if (image.dim() != 3 || image.size(2) != 3 || image.numel() == 0 ||
        image.scalar_type() != at::kByte) {
      return BadInput(
          fmt::format("the image of '{}' is no u8 [height, width, 3]", config_.cameras[i].name));
    }
  }
  if (there == 0) return BadInput("there is no image: one camera at least is wanted");
  const auto is = [](const at::Tensor& x, at::IntArrayRef sizes) {
    return x.defined() && x.sizes() == sizes && x.scalar_type() == at::kFloat;
  };
  if (!is(input.state, {config_.state})) {
    return BadInput(fmt::format("the state is no f32 [{}]", config_.state));
  }
  if (!is(input.noise, {config_.chunk, config_.max_action})) {
    return BadInput(fmt::format("the noise is no f32 [{}, {}]", config_.chunk, config_.max_action));
  }
  if (input.prompt.size() > static_cast<size_t>(config_.max_prompt)) {
    return BadInput(fmt::format("a prompt of {} tokens: {} is the most", input.prompt.size(),
                                config_.max_prompt));
  }
  for (const int64_t id : input.prompt) {
    if (id < 0 || id >= config_.vlm.vocabulary) {
      return BadInput(fmt::format("token {} is not one of {}", id, config_.vlm.vocabulary));
    }
  }
  return {};
}

at::Tensor SmolVla::Embedded(const SmolVlaInput& input, const StageFn& stage) const {
  const double scale = std::sqrt(static_cast<double>(config_.vlm.text.hidden));
  std::vector<at::Tensor> parts;
  for (const at::Tensor& image : input.images) {
    if (!image.defined()) continue;
    const std::string name = fmt::format("image.{}.", parts.size());
    const at::Tensor pixels = PixelsOf(image, config_.vlm.vision.image);
    Tell(stage, name + "pixels", pixels);
    const at::Tensor patches = vision_.Run(pixels, stage, name);
    const at::Tensor tokens = connector_(PixelShuffled(patches, config_.vlm.pixel_shuffle));
    Tell(stage, name + "tokens", tokens);
    parts.push_back(tokens * scale);
  }
  parts.push_back(embeddings_.index_select(0, torch::tensor(input.prompt, at::kLong)) * scale);
  const at::Tensor state = torch::constant_pad_nd(processors_.state.Normalize(input.state),
                                                  {0, config_.max_state - config_.state});
  Tell(stage, "state", state);
  parts.push_back(state_(state.unsqueeze(0)));
  const at::Tensor prefix = torch::cat(parts);
  Tell(stage, "prefix", prefix);
  return prefix;
}

void SmolVla::RunPrefix(at::Tensor x, PrefixAttention* prefix, const StageFn& stage) const {
  const int tokens = static_cast<int>(x.size(0));
  // Images and prompt see each other, the state all of them; nobody sees the state but itself.
  const int segments[] = {tokens - 1, 1};
  const at::Tensor positions = torch::arange(tokens);
  for (size_t i = 0; i < layers_.size(); ++i) {
    const int layer = static_cast<int>(i);
    Qkv rows = layers_[i].Project(x);
    rows.q = Rotate(rows.q, *rotary_, positions);
    rows.k = Rotate(rows.k, *rotary_, positions);
    Tell(stage, fmt::format("prefix.keys.{}", layer), rows.k);
    Tell(stage, fmt::format("prefix.values.{}", layer), rows.v);
    x = layers_[i].Output(x, prefix->Append(layer, rows, segments));
    Tell(stage, fmt::format("prefix.layer.{}", layer), x);
  }
  if (stage) stage("prefix.out", RmsNormed(x, norm_, config_.vlm.text.epsilon));
}

at::Tensor SmolVla::Denoised(const at::Tensor& noise, int prefix_tokens, PrefixAttention* prefix,
                             const StageFn& stage) const {
  const std::vector<KvRows> cross = expert_.CrossRows(prefix);
  const double step = -1.0 / config_.euler_steps;
  at::Tensor x = noise;
  for (int i = 0; i < config_.euler_steps; ++i) {
    const std::string name = fmt::format("step.{}.", i);
    Tell(stage, name + "x", x);
    const auto time = static_cast<float>(1.0 + i * step);
    x = x + expert_.Velocity(x, time, prefix_tokens, cross, prefix, stage, name) * step;
  }
  return x;
}

Result<at::Tensor> SmolVla::Actions(const SmolVlaInput& input, PrefixAttention* prefix,
                                    const StageFn& stage, const SmolVlaTimer& timer) const {
  if (Status s = CheckInput(input); !s.ok()) return s;
  const c10::InferenceMode inference;
  try {
    double last = timer.clock();
    const auto lap = [&](double SmolVlaTimes::*part) {
      const double now = timer.clock();
      if (timer.times != nullptr) timer.times->*part = now - last;
      last = now;
    };
    const at::Tensor x = Embedded(input, stage);
    lap(&SmolVlaTimes::encode_ms);
    RunPrefix(x, prefix, stage);
    lap(&SmolVlaTimes::prefix_ms);
    const at::Tensor all = Denoised(input.noise, static_cast<int>(x.size(0)), prefix, stage);
    const at::Tensor own = all.narrow(1, 0, config_.action);
    Tell(stage, "actions.normalised", own);
    at::Tensor actions = processors_.action.Unnormalize(own);
    Tell(stage, "actions", actions);
    lap(&SmolVlaTimes::act_ms);
    return actions;
  } catch (const c10::Error& e) {
    return InternalError(fmt::format("SmolVLA: {}", e.what_without_backtrace()));
  }
}

Result<at::Tensor> SmolVla::Actions(const SmolVlaInput& input) const {
  PlainPrefix prefix(config_.vlm.text.layers);
  return Actions(input, &prefix);
}

}  // namespace kvla

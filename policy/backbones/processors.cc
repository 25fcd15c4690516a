// SPDX-License-Identifier: Apache-2.0
// Files and arithmetic are those of LeRobot 0.6.1 (processor/pipeline.py, normalize_processor.py).
#include "policy/backbones/processors.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <utility>
#include <vector>

#include "base/files.h"
#include "policy/backbones/json_fields.h"
#include "tensors/safetensors.h"
#include "tensors/torch.h"

namespace kvla {
namespace {

constexpr const char* kBefore = "policy_preprocessor.json";
constexpr const char* kAfter = "policy_postprocessor.json";
constexpr const char* kState = "observation.state";
constexpr const char* kAction = "action";
constexpr int kMostSize = 1 << 20;

struct Mode {
  const char* name;
  NormMode mode;
  const char *low, *high;  // the statistics that it needs
};
constexpr Mode kModes[] = {
    {"IDENTITY", NormMode::kIdentity, nullptr, nullptr},
    {"MEAN_STD", NormMode::kMeanStd, "mean", "std"},
    {"MIN_MAX", NormMode::kMinMax, "min", "max"},
    {"QUANTILES", NormMode::kQuantiles, "q01", "q99"},
    {"QUANTILE10", NormMode::kQuantile10, "q10", "q90"},
};

const Mode* ModeNamed(const Json& name) {
  for (const Mode& mode : kModes) {
    if (name.is_string() && name.get_ref<const std::string&>() == mode.name) return &mode;
  }
  return nullptr;
}

const Mode& ModeOf(NormMode mode) { return kModes[static_cast<int>(mode)]; }

Status ReadNormalizer(const Json& step, NormalizerStep* out) {
  JsonFields in(step);
  JsonFields config(in.Object("config"));
  out->state_file = in.Text("state_file", "");
  if (out->state_file.find('/') != std::string::npos) {
    in.Refuse("state_file", "it is no file beside this one");
  }
  out->epsilon = config.Number("eps", 0, 1, 1e-8);
  const Json& modes = config.Object("norm_map");
  for (const auto& [name, feature] : config.Object("features").items()) {
    if (!feature.is_object()) return BadInput(fmt::format("feature '{}' is no object", name));
    const Json type = feature.value("type", Json()), shape = feature.value("shape", Json());
    const Json mode =
        type.is_string() ? modes.value(type.get<std::string>(), Json("IDENTITY")) : Json();
    const Mode* known = ModeNamed(mode);
    if (known == nullptr) {
      return BadInput(
          fmt::format("feature '{}' has no type, or one whose normalisation {} is not "
                      "known",
                      name, mode.dump()));
    }
    out->modes[name] = known->mode;
    if (shape.is_array() && shape.size() == 1 && shape[0].is_number_integer() && shape[0] >= 1 &&
        shape[0] <= kMostSize) {
      out->sizes[name] = shape[0].get<int>();
    }
  }
  return in.status().ok() ? config.status() : in.status();
}

Status ReadStep(const Json& step, ProcessorFile* file) {
  JsonFields in(step);
  const std::string name = in.Text("registry_name");
  JsonFields config(in.Object("config", /*needed=*/false));
  if (!in.status().ok()) return in.status();
  if (name == "to_batch_processor" || name == "device_processor") return {};
  if (name == "smolvla_new_line_processor") {
    file->newline = true;
    return {};
  }
  if (name == "tokenizer_processor") {
    file->max_prompt = config.Int("max_length", 1, kMostSize, 512);
    if (config.Text("padding_side", "right") != "right") {
      config.Refuse("padding_side", "right is supported");
    }
    return config.status().In(name);
  }
  if (name == "rename_observations_processor") {
    for (const auto& [from, to] : config.Object("rename_map", /*needed=*/false).items()) {
      if (!to.is_string()) config.Refuse("rename_map", "texts are wanted");
      if (to.is_string()) file->renamed[from] = to.get<std::string>();
    }
    return config.status().In(name);
  }
  if (name == "normalizer_processor" || name == "unnormalizer_processor") {
    return ReadNormalizer(step, &file->normalizer).In(name);
  }
  return BadInput(fmt::format("there is no step '{}' here", name));
}

Status MissingFile(const std::filesystem::path& path) {
  return BadInput(fmt::format(
      "{} is missing: checkpoints from before LeRobot 0.4 keep their statistics among the weights; "
      "`python -m lerobot.processor.migrate_policy_normalization --pretrained-path FOLDER` writes "
      "them anew",
      path.string()));
}

// The statistics of `feature` by a file of the pipeline.
Result<Normalizer> MakeNormalizer(const std::filesystem::path& folder, const NormalizerStep& step,
                                  const std::string& feature, int size) {
  const auto mode = step.modes.find(feature);
  const auto stated = step.sizes.find(feature);
  if (mode == step.modes.end() || stated == step.sizes.end() || stated->second != size) {
    return BadInput(fmt::format("its features have no '{}' of {} numbers, as config.json has it",
                                feature, size));
  }
  std::map<std::string, at::Tensor> own;
  if (!step.state_file.empty()) {
    const Result<TensorFile> file = ReadWeights(folder / step.state_file);
    if (!file.ok()) return file.status();
    const std::string prefix = feature + ".";
    for (const auto& [name, tensor] : file->tensors) {
      if (name.starts_with(prefix)) own[name.substr(prefix.size())] = tensor;
    }
  }
  Result<Normalizer> made = Normalizer::Create(mode->second, size, step.epsilon, own);
  return made.ok() ? std::move(made) : made.status().In(feature);
}

}  // namespace

Result<Normalizer> Normalizer::Create(NormMode mode, int size, double epsilon,
                                      const std::map<std::string, at::Tensor>& statistics) {
  Normalizer made;
  made.mode_ = mode;
  made.epsilon_ = epsilon;
  if (mode == NormMode::kIdentity) return made;
  for (const auto& [name, to] :
       {std::pair{ModeOf(mode).low, &made.low_}, std::pair{ModeOf(mode).high, &made.high_}}) {
    const auto found = statistics.find(name);
    if (found == statistics.end() || found->second.dim() != 1 || found->second.size(0) != size) {
      return BadInput(
          fmt::format("{} needs statistics '{}' of {} numbers", ModeOf(mode).name, name, size));
    }
    *to = found->second.to(at::kFloat);
  }
  return made;
}

at::Tensor Normalizer::Normalize(const at::Tensor& x) const {
  if (mode_ == NormMode::kIdentity) return x;
  if (mode_ == NormMode::kMeanStd) return (x - low_) / (high_ + epsilon_);
  const at::Tensor range = high_ - low_;
  return (x - low_) * 2 / torch::where(range == 0, epsilon_, range) - 1;
}

at::Tensor Normalizer::Unnormalize(const at::Tensor& x) const {
  if (mode_ == NormMode::kIdentity) return x;
  if (mode_ == NormMode::kMeanStd) return x * high_ + low_;
  const at::Tensor range = high_ - low_;
  return (x + 1) / 2 * torch::where(range == 0, epsilon_, range) + low_;
}

Result<ProcessorFile> ParseProcessorFile(const std::string& text) {
  const Result<Json> json = ParseJsonObject(text);
  if (!json.ok()) return json.status();
  const auto steps = json->find("steps");
  if (steps == json->end() || !steps->is_array()) return BadInput("it has no list 'steps'");
  ProcessorFile file;
  for (size_t i = 0; i < steps->size(); ++i) {
    const std::string where = fmt::format("steps[{}]", i);
    if (!(*steps)[i].is_object()) return BadInput(where + " is no object");
    if (Status s = ReadStep((*steps)[i], &file); !s.ok()) return s.In(where);
  }
  return file;
}

Result<Processors> LoadProcessors(const std::filesystem::path& folder, int state, int action) {
  Processors made;
  for (const bool before : {true, false}) {
    const std::filesystem::path path = folder / (before ? kBefore : kAfter);
    if (!Exists(path)) return MissingFile(path);
    const Result<std::string> text = ReadFile(path);
    if (!text.ok()) return text.status();
    Result<ProcessorFile> file = ParseProcessorFile(*text);
    if (!file.ok()) return file.status().In(path.string());
    Result<Normalizer> normalizer = MakeNormalizer(
        folder, file->normalizer, before ? kState : kAction, before ? state : action);
    if (!normalizer.ok()) return normalizer.status().In(path.string());
    (before ? made.state : made.action) = *std::move(normalizer);
    if (!before) continue;
    for (const auto& [name, mode] : file->normalizer.modes) {
      if (name == kState || name == kAction || mode == NormMode::kIdentity) continue;
      return BadInput(fmt::format("{}: images are not normalised here, and '{}' is {}",
                                  path.string(), name, ModeOf(mode).name));
    }
    made.before = *std::move(file);
  }
  return made;
}

}  // namespace kvla

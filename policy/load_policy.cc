// SPDX-License-Identifier: Apache-2.0
#include "policy/load_policy.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <span>
#include <utility>

#include "base/config_io.h"
#include "base/files.h"
#include "base/hash.h"
#include "policy/backbones/smolvla/smolvla_policy.h"
#include "policy/compact/checkpoint_hash.h"
#include "policy/compact/policy_config.h"
#include "policy/compact/text/text_encoder_files.h"
#include "policy/compact/vla.h"

namespace kvla {
namespace {

namespace fs = std::filesystem;

// A kind of policy. Published ones are named as their config.json's "type" has it, and may stand
// without a checkpoint.
struct PolicyKind {
  const char* name;
  bool published;
  Result<PolicyDescription> (*describe)(const PolicySource&);
  Result<std::string> (*hash)(const PolicySource&);
  Result<std::unique_ptr<Policy>> (*load)(const PolicySource&);
};

Result<PolicyDescription> DescribeCompact(const PolicySource& source) {
  if (PrintConfig(source.adapter) != PrintConfig(AdapterConfig())) {
    return BadInput(fmt::format(
        "adapter: {} is a policy of this program, which knows the robot; leave the block out",
        source.checkpoint.string()));
  }
  PolicyConfig config;
  const Status status = LoadConfigFile(source.checkpoint / kConfigFile, {}, &config);
  if (!status.ok()) return status;
  return PolicyDescription{.spec = SpecOf(config)};
}

Result<std::string> HashCompact(const PolicySource& source) {
  return CheckpointHash(source.checkpoint);
}

Result<std::unique_ptr<Policy>> LoadCompact(const PolicySource& source) {
  Vla::Options options;
  options.checkpoint = source.checkpoint;
  options.text_encoder = TextEncoderFolder(source.asset_root);
  options.device = source.device;
  Result<std::unique_ptr<Vla>> vla = Vla::Load(options);
  if (!vla.ok()) return vla.status();
  return std::unique_ptr<Policy>(*std::move(vla));
}

// A published policy: every file of its folder, whatever its format, or what its weights are drawn
// from.
Result<std::string> HashPublished(const PolicySource& source) {
  const BackboneConfig& backbone = source.backbone;
  if (source.checkpoint.empty()) {
    return HashHex(
        fmt::format("{} random layers {} seed {}", backbone.shape, backbone.layers, backbone.seed));
  }
  std::error_code error;
  std::vector<fs::path> files;
  fs::recursive_directory_iterator it(source.checkpoint, error), end;
  for (; !error && it != end; it.increment(error)) {
    if (IsFile(it->path())) files.push_back(it->path());
  }
  if (error) return IoError(fmt::format("{}: {}", source.checkpoint.string(), error.message()));
  std::ranges::sort(files);
  std::string all;
  for (const fs::path& file : files) {
    const Result<std::string> hash = HashFileHex(file);
    if (!hash.ok()) return hash;
    all += file.lexically_relative(source.checkpoint).string() + ":" + *hash + "\n";
  }
  return HashHex(all);
}

constexpr PolicyKind kKinds[] = {
    {"compact", false, DescribeCompact, HashCompact, LoadCompact},
    {"smolvla", true, DescribeSmolVla, HashPublished, LoadSmolVla},
};

const PolicyKind* KindNamed(const std::string& name) {
  const auto* found = std::ranges::find_if(
      kKinds, [&](const PolicyKind& kind) { return kind.published && kind.name == name; });
  return found == std::end(kKinds) ? nullptr : found;
}

Result<const PolicyKind*> KindOfFolder(const fs::path& folder) {
  const fs::path own = folder / kConfigFile, published = folder / "config.json";
  if (IsFile(own)) return &kKinds[0];
  if (!IsFile(published)) {
    return BadInput(
        fmt::format("checkpoint: neither {} (a policy that kvla train made) nor {} (one as LeRobot "
                    "saves it) is there",
                    own.string(), published.string()));
  }
  const Result<std::string> text = ReadFile(published);
  if (!text.ok()) return text.status();
  const auto json = nlohmann::json::parse(*text, nullptr, /*allow_exceptions=*/false);
  const std::string type = json.is_object() && json.contains("type") && json["type"].is_string()
                               ? json["type"].get<std::string>()
                               : "";
  if (const PolicyKind* kind = KindNamed(type)) return kind;
  const std::vector<std::string> shapes = BackboneShapes();
  return BadInput(fmt::format("{}: \"type\" is '{}'; here {} can be loaded", published.string(),
                              type, fmt::join(std::span(shapes).subspan(1), ", ")));
}

Result<const PolicyKind*> KindOf(const PolicySource& source) {
  const BackboneConfig& backbone = source.backbone;
  const bool shape = backbone.shape != "none", random = backbone.weights == "random";
  if (source.checkpoint.empty() && !shape) return BadInput("'checkpoint' is empty: which policy?");
  if (!source.checkpoint.empty() && (shape || random || backbone.layers != 0)) {
    return BadInput(
        "backbone: shape, layers and random weights stand in the place of a checkpoint: leave one "
        "of both out");
  }
  if (source.checkpoint.empty() && !random) {
    return BadInput(fmt::format(
        "backbone: shape {} has no weights without a checkpoint: say weights: random, for what it "
        "costs, or name a checkpoint",
        backbone.shape));
  }
  if (!source.checkpoint.empty()) return KindOfFolder(source.checkpoint);
  const PolicyKind* kind = KindNamed(backbone.shape);
  if (kind == nullptr) return BadInput(fmt::format("backbone: no shape '{}'", backbone.shape));
  return kind;
}

}  // namespace

std::vector<std::string> BackboneShapes() {
  std::vector<std::string> names = {"none"};
  for (const PolicyKind& kind : kKinds) {
    if (kind.published) names.emplace_back(kind.name);
  }
  return names;
}

Result<PolicyDescription> DescribePolicy(const PolicySource& source) {
  const Result<const PolicyKind*> kind = KindOf(source);
  return kind.ok() ? (*kind)->describe(source) : kind.status();
}

Result<std::string> HashPolicy(const PolicySource& source) {
  const Result<const PolicyKind*> kind = KindOf(source);
  return kind.ok() ? (*kind)->hash(source) : kind.status();
}

Result<std::unique_ptr<Policy>> LoadPolicy(const PolicySource& source) {
  const Result<const PolicyKind*> kind = KindOf(source);
  return kind.ok() ? (*kind)->load(source) : kind.status();
}

}  // namespace kvla

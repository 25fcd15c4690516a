// SPDX-License-Identifier: Apache-2.0
#include "harness/demos/demo_layout.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/config_io.h"
#include "policy/compact/training/demo_source.h"

namespace kvla {
namespace {

using Json = nlohmann::json;

constexpr int kMaxSteps = 1'000'000;  // about 14 hours
constexpr int kMaxDemos = 1'000'000;
constexpr int kMaxSide = 4096;

// An integer attribute within [low, high].
Status ReadWithin(const Hdf5Node& node, const std::string& name, int low, int high, int* value) {
  const Result<int64_t> read = node.Integer(name);
  if (!read.ok()) return read.status();
  if (*read < low || *read > high) {
    return BadInput(fmt::format("{}: attribute '{}' is {}, it must be {} to {}", node.where(), name,
                                *read, low, high));
  }
  *value = static_cast<int>(*read);
  return {};
}

// A whole number of 'env_kwargs'; 0 where there is none in [1, kMaxSide].
int Side(const Json& kwargs, const char* name) {
  const auto found = kwargs.find(name);
  if (found == kwargs.end() || !found->is_number_unsigned()) return 0;
  const auto side = found->get<uint64_t>();
  return side <= kMaxSide ? static_cast<int>(side) : 0;
}

}  // namespace

Result<ShardFacts> ReadShardFacts(const Hdf5Node& data) {
  ShardFacts facts;
  if (Status s = ReadWithin(data, "num_demos", 0, kMaxDemos, &facts.demos); !s.ok()) return s;
  const Result<std::string> text = data.Text("env_args");
  if (!text.ok()) return text.status();
  const auto bad = [&](const char* what) {
    return BadInput(fmt::format("{}: attribute 'env_args' {}", data.where(), what));
  };
  const Json env = Json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (!env.is_object()) return bad("is no JSON object");
  const auto task = env.find("env_name");
  if (task == env.end() || !task->is_string()) return bad("has no text 'env_name'");
  facts.task = task->get<std::string>();
  const auto kwargs = env.find("env_kwargs");
  if (kwargs == env.end() || !kwargs->is_object()) return bad("has no object 'env_kwargs'");
  const auto names = kwargs->find("camera_names");
  if (names == kwargs->end() || !names->is_array() || names->empty()) {
    return bad("names no cameras ('camera_names')");
  }
  for (const Json& name : *names) {
    if (!name.is_string()) return bad("has a camera whose name is no text ('camera_names')");
    facts.cameras.push_back(name.get<std::string>());
  }
  facts.height = Side(*kwargs, "camera_heights");
  facts.width = Side(*kwargs, "camera_widths");
  if (facts.height == 0 || facts.width == 0) {
    return bad("does not say how large images are ('camera_heights', 'camera_widths')");
  }
  // Files from before there were any have neither.
  if (data.HasAttribute("suite")) {
    const Result<std::string> suite = data.Text("suite");
    if (!suite.ok()) return suite.status();
    const Result<ConfigNode> node = ParseYaml(*suite, "attribute 'suite'", false);
    const Status parsed = node.ok() ? ParseConfig(*node, &facts.suite) : node.status();
    if (!parsed.ok()) return parsed.In(data.where());
  }
  if (data.HasAttribute("disturbance")) {
    const Result<std::string> level = data.Text("disturbance");
    if (!level.ok()) return level.status();
    facts.disturbance = *level;
  }
  return facts;
}

Result<DemoSizes> ReadDemoSizes(const Hdf5Node& demo) {
  DemoSizes sizes;
  for (auto [name, value] :
       {std::pair{"num_samples", &sizes.steps}, std::pair{"num_inferences", &sizes.blocks},
        std::pair{"image_stride", &sizes.stride}}) {
    if (Status s = ReadWithin(demo, name, 1, kMaxSteps, value); !s.ok()) return s;
  }
  if (sizes.blocks != (sizes.steps + sizes.stride - 1) / sizes.stride) {
    return BadInput(fmt::format("{}: {} inferences for {} steps, one every {}", demo.where(),
                                sizes.blocks, sizes.steps, sizes.stride));
  }
  return sizes;
}

std::vector<int64_t> ImageShape(const ShardFacts& facts, const DemoSizes& sizes) {
  return {sizes.blocks, facts.height, facts.width, 3};
}

Status CheckDemoDatasets(const Hdf5Node& demo, const ShardFacts& facts, const DemoSizes& sizes) {
  const int64_t n = sizes.steps;
  for (const auto& [name, columns] : {std::pair{"actions", kTargetDim},
                                      {"executed", kTargetDim},
                                      {"targets", kTargetDim},
                                      {"labels/waypoint", 3}}) {
    if (Status s = demo.Check<float>(name, {n, columns}); !s.ok()) return s;
  }
  for (const auto& [name, columns] : {std::pair{"obs/ee_pos", 3}, {"obs/ee_quat", 4}}) {
    if (Status s = demo.Check<double>(name, {n, columns}); !s.ok()) return s;
  }
  if (Status s = demo.Check<double>("obs/gripper_width", {n}); !s.ok()) return s;
  if (Status s = demo.Check<int32_t>("labels/target_class", {n}); !s.ok()) return s;
  if (Status s = demo.Check<uint8_t>("labels/decision", {n}); !s.ok()) return s;
  for (const std::string& camera : facts.cameras) {
    Status s = demo.Check<uint8_t>("obs/" + camera + "_image", ImageShape(facts, sizes));
    if (!s.ok()) return s;
  }
  return {};
}

}  // namespace kvla

// SPDX-License-Identifier: Apache-2.0
// kvla backbone, from outside.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "tests/apps/program.h"

namespace kvla {
namespace {

const std::string kFolder =
    std::string(KVLA_ASSET_ROOT) + "/tests/policy/backbones/smolvla/data/two_cameras";

TEST(BackboneTest, SaysWhatAFolderHolds) {
  const Output output = Kvla({"backbone", kFolder, "--json"});
  ASSERT_EQ(output.status, 0) << output.err;
  const auto json = nlohmann::json::parse(output.out, nullptr, false);
  EXPECT_EQ(json["type"], "smolvla");
  EXPECT_EQ(json["images"], 2);
  // Images, prompt and state.
  EXPECT_EQ(json["prefix_tokens"],
            2 * json["tokens_per_image"].get<int>() + json["prompt"].get<int>() + 1);
  double sum = 0;
  for (const auto& [part, flops] : json["flops"].items()) {
    if (part != "total") sum += flops.get<double>();
  }
  EXPECT_DOUBLE_EQ(json["flops"]["total"].get<double>(), sum);
  const Output text = Kvla({"backbone", kFolder});
  EXPECT_NE(text.out.find("SmolVLA over "), std::string::npos) << text.out;
}

TEST(BackboneTest, RefusesWhatTheCheckpointDoesNotTake) {
  const Output images = Kvla({"backbone", kFolder, "--images", "3"});
  EXPECT_EQ(images.status, 2);
  EXPECT_NE(images.err.find("it takes 2 and "), std::string::npos) << images.err;
  const Output folder = Kvla({"backbone", "no_such_folder"});
  EXPECT_EQ(folder.status, 2);
  EXPECT_NE(folder.err.find("no_such_folder"), std::string::npos) << folder.err;
}

}  // namespace
}  // namespace kvla

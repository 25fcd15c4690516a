// SPDX-License-Identifier: Apache-2.0
// kvla bench backbones, from outside: the smallest published shape at short histories.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "tests/apps/program.h"
#include "tests/scratch_dir.h"

namespace kvla {
namespace {

const std::string kConfig = std::string(KVLA_ASSET_ROOT) + "/configs/backbones.yaml";

TEST(BenchBackbonesTest, PrintsATableThatFitsAndWritesFiguresAndPlot) {
  ScratchDir scratch;
  const std::string out = (scratch / "out.json").string(), plot = (scratch / "out.svg").string();
  const Output output =
      Kvla({"bench", "backbones", kConfig, "--set", "backbones=[smolvla]", "--set",
            "inferences=[1, 3]", "--set", "rho=[0.05]", "--set", "layer_seconds=0", "--set",
            "history_seconds=0", "--set", "rounds=2", "--out", out, "--plot", plot});
  ASSERT_EQ(output.status, 0) << output.err;
  std::istringstream lines(output.out);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 100U) << line;
  for (const char* word : {"smolvla", "language layer", "no history", "GFLOP/s"}) {
    EXPECT_NE(output.out.find(word), std::string::npos) << output.out;
  }
  const auto json = nlohmann::json::parse(ReadText(out), nullptr, false);
  ASSERT_TRUE(json.is_object());
  EXPECT_EQ(json["backbones"][0]["parameters"], 450'046'176);
  EXPECT_EQ(json["backbones"][0]["rows"].size(), 2U * 4);
  EXPECT_NE(ReadText(plot).find("</svg>"), std::string::npos);
}

TEST(BenchBackbonesTest, AWrongConfigIsRefused) {
  const auto refused = [](const std::string& setting) {
    const Output output = Kvla({"bench", "backbones", kConfig, "--set", setting});
    EXPECT_EQ(output.status, 2) << setting;
    EXPECT_EQ(output.out, "");
    return output.err;
  };
  EXPECT_NE(refused("backbones=[openvlaa]").find("openvlaa"), std::string::npos);
  EXPECT_NE(refused("inferences=[3, 1]").find("ascend"), std::string::npos);
  EXPECT_NE(refused("rho=[2]").find("rho"), std::string::npos);
}

}  // namespace
}  // namespace kvla

// SPDX-License-Identifier: Apache-2.0
// The weights in policy/weights, with their gates, on made-up frames.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "policy/compact/text/text_encoder_files.h"
#include "policy/compact/vla.h"
#include "tests/policy/loaded_vla.h"

namespace kvla {
namespace {

constexpr int kSide = 64, kBlocks = 28;

// What the policy does after kBlocks frames. The frames are made up, so that the test needs no
// renderer; what they mean to the policy is of no matter, only that other weights, or another way
// through the net, would do something else.
struct Recorded {
  std::string checkpoint, instruction;
  std::array<float, 3> position;  // of the last step's target, from the hand [m]
  float gripper;
  std::vector<float> scores;  // of the chunks that left, by the gate
};

// A gradient that moves from frame to frame, and a square that comes and goes.
std::vector<uint8_t> Frame(int block, int camera) {
  std::vector<uint8_t> image;
  for (int y = 0; y < kSide; ++y) {
    for (int x = 0; x < kSide; ++x) {
      const bool square = block % 9 < 4 && x / 16 == 1 + camera && y / 16 == 2;
      image.push_back(static_cast<uint8_t>(square ? 230 : 2 * x + block));
      image.push_back(static_cast<uint8_t>(square ? 30 : 2 * y + 3 * camera));
      image.push_back(static_cast<uint8_t>(x + y));
    }
  }
  return image;
}

TEST(ShippedWeights, DoWhatTheyDidWhenTheyWereShipped) {
  const std::filesystem::path root = KVLA_ASSET_ROOT;
  const std::vector<Recorded> all = {
      {"recall_color",
       "press the button of the color the lamp showed",
       {-0.020487F, 0.000661F, -0.032916F},
       1,
       {0.99999F, 0.91847F, 0.99999F}},
      {"suite",
       "press the button of the color the lamp showed",
       {0.039108F, -0.032118F, -0.039328F},
       1,
       {0.99983F, 0.99917F, 0.99974F}},
  };
  for (const Recorded& recorded : all) {
    Vla::Options options;
    options.checkpoint = root / "policy/weights" / recorded.checkpoint;
    options.text_encoder = TextEncoderFolder(root);
    SessionOptions session;
    session.cache.policy = "gated";
    session.cache.keep = "compressed";
    session.cache.gate = (options.checkpoint / "gate.safetensors").string();
    session.max_blocks = kBlocks;
    Result<LoadedVla> vla = LoadVla(options, session);
    ASSERT_TRUE(vla.ok()) << vla.status().message();
    const Status begun = vla->BeginEpisode({.instruction = recorded.instruction});
    ASSERT_TRUE(begun.ok()) << begun.message();
    std::vector<float> scores;
    std::array<float, kTargetDim> target{};
    for (int block = 0; block < kBlocks; ++block) {
      const std::vector<uint8_t> front = Frame(block, 0), wrist = Frame(block, 1);
      FrameInput input;
      input.images = {front, wrist};
      input.proprio = {0.5F, 0.002F * static_cast<float>(block), 0.2F, 0, 0, 0, 0.04F};
      const Result<Inference> inference = vla->Infer(input);
      ASSERT_TRUE(inference.ok()) << inference.status().message();
      target = inference->targets.back();
      for (const ChunkDecision& d : inference->changes) {
        EXPECT_EQ(d.action, ChunkAction::kCompressed);
        scores.push_back(d.score);
      }
    }
    // LibTorch's three sets of CPU kernels (default, avx2, avx512) were seen to differ by 2e-8 m,
    // and in no printed digit of the scores.
    for (size_t i = 0; i < 3; ++i) {
      EXPECT_NEAR(target[i], recorded.position[i], 1e-4) << recorded.checkpoint << " " << i;
    }
    EXPECT_EQ(target[6], recorded.gripper) << recorded.checkpoint;
    ASSERT_EQ(scores.size(), recorded.scores.size()) << recorded.checkpoint;
    for (size_t i = 0; i < scores.size(); ++i) {
      EXPECT_NEAR(scores[i], recorded.scores[i], 1e-3) << recorded.checkpoint << ", chunk " << i;
    }
  }
}

}  // namespace
}  // namespace kvla

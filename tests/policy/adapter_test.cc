// SPDX-License-Identifier: Apache-2.0
#include "policy/adapter.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numbers>

namespace kvla {
namespace {

constexpr float kQuarter = std::numbers::pi_v<float> / 2;
// At (.4, .1, .2), turned a quarter about z from gripper-down, 4 cm open.
constexpr std::array<float, kProprioDim> kProprio = {0.4F, 0.1F, 0.2F, 0, 0, kQuarter, 0.04F};

class AdapterTest : public testing::Test {
 protected:
  AdapterTest() {
    config_.cameras.resize(2);
    config_.cameras[0].camera = "front", config_.cameras[0].feature = "top";
    config_.cameras[1].camera = "wrist", config_.cameras[1].feature = "hand";
    config_.replan_steps = 2;
    side_ = {.cameras = {"hand", "top"}, .state = 7, .action = 7, .chunk = 3, .statistics = "own"};
  }
  Adapter Made() const {
    const Result<Adapter> made = Adapter::Create(config_, side_, {});
    EXPECT_TRUE(made.ok()) << made.status().message();
    return *made;
  }
  void ExpectRefused(const std::function<void(AdapterConfig*, CheckpointSide*)>& change,
                     const std::vector<std::string>& parts) {
    AdapterConfig config = config_;
    CheckpointSide side = side_;
    change(&config, &side);
    const Status status = Adapter::Create(config, side, {}).status();
    EXPECT_EQ(status.code(), StatusCode::kBadInput);
    for (const std::string& part : parts) {
      EXPECT_NE(status.message().find(part), std::string::npos)
          << "'" << part << "' is not in: " << status.message();
    }
  }
  AdapterConfig config_;
  CheckpointSide side_;
};

void ExpectNear(const std::array<float, kTargetDim>& got,
                const std::array<float, kTargetDim>& want) {
  for (size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(got[i], want[i], 1e-5) << "number " << i;
}

TEST_F(AdapterTest, CamerasGoToTheirFeatures) {
  EXPECT_EQ(Made().cameras(), (std::vector<size_t>{1, 0}));
}

TEST_F(AdapterTest, AStateIsWhatItsLayoutSays) {
  EXPECT_EQ(Made().State(kProprio), std::vector<float>(kProprio.begin(), kProprio.end()));
  config_.state = {"gripper", "quaternion_xyzw", "position"};
  config_.rotation_from = "world";
  side_.state = 8;
  const std::vector<float> state = Made().State(kProprio);
  const float r = std::sqrt(0.5F);
  // A quarter about z of a hand that a half turn about x has turned down.
  const std::vector<float> want = {0.04F, r, r, 0, 0, 0.4F, 0.1F, 0.2F};
  ASSERT_EQ(state.size(), want.size());
  for (size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(state[i], want[i], 1e-6) << i;
}

TEST_F(AdapterTest, DeltasAddUpFromTheHand) {
  config_.action.unit_m = 0.05;
  config_.action.unit_rad = 0.5;
  const std::vector<float> actions = {1, 0, -1, 0, 0, 0.2F, -1,  //
                                      1, 1, 0,  0, 0, 0.2F, 1,   //
                                      9, 9, 9,  9, 9, 9,    9};
  const auto targets = Made().Targets(actions, kProprio);
  ASSERT_EQ(targets.size(), 2U);
  ExpectNear(targets[0], {0.05F, 0, -0.05F, 0, 0, kQuarter + 0.1F, -1});
  ExpectNear(targets[1], {0.1F, 0.05F, -0.05F, 0, 0, kQuarter + 0.2F, 1});
}

TEST_F(AdapterTest, AbsolutePosesAreTakenRelativeToTheHandInEveryForm) {
  config_.action.position = "absolute";
  config_.replan_steps = 1;
  for (const char* from : {"gripper_down", "world"}) {
    for (const std::string& name : RotationFormNames()) {
      SCOPED_TRACE(from + (" " + name));
      const RotationForm form = *RotationFormNamed(name);
      config_.rotation_from = from;
      config_.action.rotation = name;
      side_.action = ActionNumbers(config_);
      // What the checkpoint would say of a turn of .3 about x and z from gripper-down.
      const std::array<double, 3> turn = {0.3, 0, 0.3};
      Quaternion rotation = ReadRotation(RotationForm::kRotvec, turn);
      if (from == std::string("world")) {
        rotation = Product(rotation, RobotConventions().gripper_down);
      }
      std::vector<float> action = {0.5F, 0.1F, 0.1F};
      for (const double x : WriteRotation(form, rotation)) action.push_back(static_cast<float>(x));
      action.push_back(1);
      const auto targets = Made().Targets(action, kProprio);
      ASSERT_EQ(targets.size(), 1U);
      ExpectNear(targets[0], {0.1F, 0, -0.1F, 0.3F, 0, 0.3F, 1});
    }
  }
}

TEST_F(AdapterTest, TheGripperGoesFromOpenToClosedWhateverTheSign) {
  config_.replan_steps = 1;
  const auto grip = [&](double open, double closed, float says) {
    config_.action.gripper_open = open;
    config_.action.gripper_closed = closed;
    return Made().Targets(std::vector<float>{0, 0, 0, 0, 0, 0, says}, kProprio)[0][6];
  };
  EXPECT_FLOAT_EQ(grip(-1, 1, -1), -1);
  EXPECT_FLOAT_EQ(grip(-1, 1, 0.5), 0.5);
  EXPECT_FLOAT_EQ(grip(1, 0, 1), -1);  // Bridge: 1 is open
  EXPECT_FLOAT_EQ(grip(1, 0, 0), 1);
  EXPECT_FLOAT_EQ(grip(1, 0, -7), 1);  // beyond its range
  EXPECT_NEAR(grip(0.08, 0, 0.04), 0, 1e-6);
}

TEST_F(AdapterTest, WhatDoesNotFitIsRefusedNamingBothSides) {
  using C = AdapterConfig;
  using S = CheckpointSide;
  ExpectRefused([](C* c, S*) { c->cameras.pop_back(); }, {"cameras", "1 (top)", "2 (hand, top)"});
  ExpectRefused([](C* c, S*) { c->cameras[1].feature = "top"; }, {"2 (top, top)"});
  ExpectRefused([](C*, S* s) { s->state = 8; }, {"state", "7 numbers", "has 8"});
  ExpectRefused([](C* c, S*) { c->action.rotation = "rotation6d"; },
                {"rotation6d", "10 numbers", "has 7"});
  ExpectRefused([](C* c, S*) { c->replan_steps = 4; }, {"replan_steps", "4 actions", "has 3"});
  ExpectRefused([](C* c, S*) { c->control_rate_hz = 15; }, {"15 a second", "takes 20"});
  ExpectRefused([](C* c, S*) { c->action.gripper_open = 1; }, {"gripper_open", "both 1"});
}

TEST_F(AdapterTest, ItsCardSaysAllOfIt) {
  std::string card;
  for (const auto& [what, value] : Made().Card()) card += what + ": " + value + "\n";
  for (const char* part :
       {"front at 256x256 as top", "resize: pad", "position, rotvec, gripper: 7 numbers",
        "gripper_down", "delta position, rotation as rotvec", "-1 open, 1 closed", "own",
        "2 of 3 actions", "20 a second"}) {
    EXPECT_NE(card.find(part), std::string::npos) << part << " is not in\n" << card;
  }
}

}  // namespace
}  // namespace kvla

// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <thread>

#include "sim/renderer.h"
#include "sim/world.h"

namespace kvla {
namespace {

const std::filesystem::path kRoot = KVLA_ASSET_ROOT;
const std::filesystem::path kScene = kRoot / "tasks" / "recall_color" / "scene.xml";

std::unique_ptr<World> LoadScene() {
  auto world = World::Load(kScene);
  EXPECT_TRUE(world.ok()) << world.status().message();
  return *std::move(world);
}

void StepN(World& world, const Action& action, int n) {
  for (int i = 0; i < n; ++i) {
    const Status s = world.Step(action);
    ASSERT_TRUE(s.ok()) << s.message();
  }
}

Action Hold() {
  Action a;
  a.value[6] = -1;
  return a;
}

// Goes to `target` as a policy does: a bounded delta from the current pose at each step.
void GoTo(World& world, const Pose& target, int steps, double max_step = 0.015) {
  for (int i = 0; i < steps; ++i) {
    const Pose now = world.EndEffector();
    Pose goal = target;
    double d = 0;
    for (int k = 0; k < 3; ++k) d = std::hypot(d, target.position[k] - now.position[k]);
    const double scale = d > max_step ? max_step / d : 1;
    for (int k = 0; k < 3; ++k) {
      goal.position[k] = now.position[k] + scale * (target.position[k] - now.position[k]);
    }
    ASSERT_TRUE(world.Step(ActionTowards(now, goal, -1)).ok());
  }
}

std::filesystem::path WriteTemp(const std::string& name, const std::string& text) {
  const auto path = std::filesystem::path(testing::TempDir()) / name;
  std::ofstream(path) << text;
  return path;
}

TEST(World, HomeHoldsStill) {
  auto world = LoadScene();
  const Pose before = world->EndEffector();
  StepN(*world, Hold(), 40);
  const Pose after = world->EndEffector();
  for (int i = 0; i < 3; ++i) EXPECT_NEAR(before.position[i], after.position[i], 5e-4);
  EXPECT_NEAR(world->Proprio().gripper_width, 0.08, 1e-3);
  EXPECT_EQ(world->control_steps(), 40);
  EXPECT_NEAR(world->time_s(), 2.0, 1e-9);
}

TEST(World, JointsArePublishedPanda) {
  auto world = LoadScene();
  const mjModel* m = world->model();
  const double limits[7][2] = {{-2.8973, 2.8973},  {-1.7628, 1.7628}, {-2.8973, 2.8973},
                               {-3.0718, -0.0698}, {-2.8973, 2.8973}, {-0.0175, 3.7525},
                               {-2.8973, 2.8973}};
  for (int i = 0; i < 7; ++i) {
    auto id = world->JointId("joint" + std::to_string(i + 1));
    ASSERT_TRUE(id.ok());
    EXPECT_NEAR(m->jnt_range[2 * *id], limits[i][0], 1e-4);
    EXPECT_NEAR(m->jnt_range[2 * *id + 1], limits[i][1], 1e-4);
  }
  // Published forward kinematics with every joint at 0 (but joint 4 at -pi/2, joint 6 at pi/2):
  // flange at x = 0.0825 + 0.384 + 0.088, z = 0.333 + 0.316 + 0.0825 - 0.107.
  const double q[7] = {0, 0, 0, -M_PI / 2, 0, M_PI / 2, 0};
  for (int i = 0; i < 7; ++i) {
    world->data()->qpos[m->jnt_qposadr[*world->JointId("joint" + std::to_string(i + 1))]] = q[i];
  }
  world->Forward();
  const mjtNum* hand = world->data()->xpos + 3 * *world->BodyId("hand");
  EXPECT_NEAR(hand[0], 0.5545, 1e-6);
  EXPECT_NEAR(hand[1], 0, 1e-6);
  EXPECT_NEAR(hand[2], 0.6245, 1e-6);
}

TEST(Arm, DeltaMovesAlongItsAxis) {
  for (int axis = 0; axis < 3; ++axis) {
    for (double sign : {-1.0, 1.0}) {
      auto world = LoadScene();
      Action a = Hold();
      a.value[axis] = static_cast<float>(0.4 * sign);  // 2 cm
      const Pose before = world->EndEffector();
      StepN(*world, a, 1);
      StepN(*world, Hold(), 1);
      const Pose after = world->EndEffector();
      for (int i = 0; i < 3; ++i) {
        const double moved = after.position[i] - before.position[i];
        EXPECT_NEAR(moved, i == axis ? 0.02 * sign : 0, 0.005) << "axis " << axis;
      }
    }
  }
}

TEST(Arm, ActionsAreClipped) {
  auto world = LoadScene();
  auto clipped = LoadScene();
  Action big = Hold(), one = Hold();
  big.value[1] = 7;
  one.value[1] = 1;
  big.value[0] = std::numeric_limits<float>::quiet_NaN();  // taken as 0
  StepN(*world, big, 2);
  StepN(*clipped, one, 2);
  EXPECT_EQ(world->StateHash(), clipped->StateHash());
  const double y = world->EndEffector().position[1];
  EXPECT_GT(y, 0.05);
  EXPECT_LT(y, 0.105);
}

TEST(Arm, ReachesTargets) {
  auto world = LoadScene();
  for (const auto& p : {std::array<double, 3>{0.42, 0.13, 0.03},
                        {0.60, -0.165, 0.06},
                        {0.60, 0.165, 0.06},
                        {0.36, -0.2, 0.2},
                        {0.55, 0.0, 0.3}}) {
    GoTo(*world, {p, kGripperDown}, 60);
    const Pose ee = world->EndEffector();
    for (int i = 0; i < 3; ++i) EXPECT_NEAR(ee.position[i], p[i], 0.001);
    for (double r : RotationVector(kGripperDown, ee.quaternion)) EXPECT_NEAR(r, 0, 0.005);
  }
}

TEST(Arm, RotationConventionIsWorldFrame) {
  auto world = LoadScene();
  Action a = Hold();
  a.value[5] = 0.16f;  // 0.08 rad about the world's z
  StepN(*world, a, 1);
  StepN(*world, Hold(), 2);
  const auto r = RotationVector(kGripperDown, world->EndEffector().quaternion);
  EXPECT_NEAR(r[0], 0, 0.02);
  EXPECT_NEAR(r[1], 0, 0.02);
  EXPECT_NEAR(r[2], 0.08, 0.01);
}

TEST(Arm, GripperSign) {
  auto world = LoadScene();
  Action a;
  a.value[6] = 1;
  StepN(*world, a, 20);
  EXPECT_LT(world->Proprio().gripper_width, 0.002);
  StepN(*world, Hold(), 20);
  EXPECT_GT(world->Proprio().gripper_width, 0.078);
}

TEST(World, ResetAndRepeatAreDeterministic) {
  auto world = LoadScene();
  Action a = Hold();
  a.value[0] = 0.2f;
  a.value[1] = 0.3f;
  const uint64_t start = world->StateHash();
  StepN(*world, a, 8);
  const uint64_t end = world->StateHash();
  EXPECT_NE(start, end);
  ASSERT_TRUE(world->Reset().ok());
  EXPECT_EQ(world->StateHash(), start);
  StepN(*world, a, 8);
  EXPECT_EQ(world->StateHash(), end);
  auto another = LoadScene();
  StepN(*another, a, 8);
  EXPECT_EQ(another->StateHash(), end);
}

TEST(World, SaveRestoreIsBitExact) {
  auto world = LoadScene();
  Action a = Hold();
  a.value[0] = 0.3f;
  StepN(*world, a, 5);
  const std::vector<double> saved = world->SaveState();
  const uint64_t hash = world->StateHash();
  const Pose ee = world->EndEffector();
  StepN(*world, a, 7);
  const uint64_t later = world->StateHash();
  auto another = LoadScene();
  ASSERT_TRUE(another->RestoreState(saved).ok());
  EXPECT_EQ(another->StateHash(), hash);
  EXPECT_EQ(another->EndEffector().position, ee.position);
  StepN(*another, a, 7);
  EXPECT_EQ(another->StateHash(), later);
  EXPECT_EQ(another->RestoreState(std::vector<double>(3)).code(), StatusCode::kBadInput);
}

TEST(World, UserdataIsState) {
  auto world = LoadScene();
  const uint64_t before = world->StateHash();
  world->data()->userdata[0] = 1;
  EXPECT_NE(world->StateHash(), before);
  const auto saved = world->SaveState();
  ASSERT_TRUE(world->Reset().ok());
  EXPECT_EQ(world->data()->userdata[0], 0);
  ASSERT_TRUE(world->RestoreState(saved).ok());
  EXPECT_EQ(world->data()->userdata[0], 1);
}

TEST(World, DivergenceIsAValue) {
  auto world = LoadScene();
  world->data()->qvel[0] = 1e12;
  const Status s = world->Step(Hold());
  EXPECT_EQ(s.code(), StatusCode::kDiverged);
  EXPECT_NE(s.message().find("diverged"), std::string::npos) << s.message();
  ASSERT_TRUE(world->Reset().ok());
  EXPECT_TRUE(world->Step(Hold()).ok());
  world->data()->qpos[0] = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(world->Step(Hold()).code(), StatusCode::kDiverged);
  EXPECT_FALSE(std::filesystem::exists("MUJOCO_LOG.TXT"));
}

TEST(World, BadScenesAreBadInput) {
  EXPECT_EQ(World::Load("/no/such/scene.xml").status().code(), StatusCode::kBadInput);
  auto broken = World::Load(WriteTemp("broken.xml", "<mujoco><worldbody><geom size='x'/>"));
  ASSERT_FALSE(broken.ok());
  EXPECT_EQ(broken.status().code(), StatusCode::kBadInput);
  EXPECT_NE(broken.status().message().find("broken.xml"), std::string::npos);
  auto unknown = World::Load(WriteTemp("unknown.xml", "<mujoco>\n<worldbodi/>\n</mujoco>"));
  ASSERT_FALSE(unknown.ok());
  EXPECT_NE(unknown.status().message().find("worldbodi"), std::string::npos)
      << unknown.status().message();
  auto armless = World::Load(WriteTemp("armless.xml", "<mujoco/>"));
  ASSERT_FALSE(armless.ok());
  EXPECT_NE(armless.status().message().find("panda.xml"), std::string::npos);
}

TEST(World, NamesAndCameras) {
  auto world = LoadScene();
  EXPECT_TRUE(world->BodyId("block").ok());
  auto missing = world->GeomId("no_such");
  ASSERT_FALSE(missing.ok());
  EXPECT_NE(missing.status().message().find("no_such"), std::string::npos);
  auto spec = world->Camera("front", 64, 64);
  ASSERT_TRUE(spec.ok());
  EXPECT_NEAR(spec->intrinsics[0], 32 / std::tan(spec->fovy_deg * M_PI / 360), 1e-9);
  EXPECT_NEAR(spec->intrinsics[2], 32, 1e-12);
  EXPECT_GT(spec->pose.position[0], 1.0);
}

// Mean colour of the pixels around the projection of a world point.
std::array<double, 3> ColorAt(const World& world, const Image& image, const double point[3]) {
  const CameraSpec c = *world.Camera(image.camera, image.width, image.height);
  double rotation[9], d[3], local[3];
  mju_quat2Mat(rotation, c.pose.quaternion.data());
  for (int i = 0; i < 3; ++i) d[i] = point[i] - c.pose.position[i];
  mju_mulMatTVec3(local, rotation, d);
  const int u = static_cast<int>(c.intrinsics[2] + c.intrinsics[0] * local[0] / -local[2]);
  const int v = static_cast<int>(c.intrinsics[5] - c.intrinsics[4] * local[1] / -local[2]);
  EXPECT_TRUE(u >= 0 && u < image.width && v >= 0 && v < image.height) << u << " " << v;
  const uint8_t* p = &image.rgb[3 * (static_cast<size_t>(v) * image.width + u)];
  return {p[0] / 255.0, p[1] / 255.0, p[2] / 255.0};
}

TEST(Renderer, RowsAreTopFirstAndProjectionAgrees) {
  auto world = LoadScene();
  auto renderer = Renderer::Create(world->model(), 256, 256);
  ASSERT_TRUE(renderer.ok()) << renderer.status().message();
  EXPECT_FALSE((*renderer)->gl_renderer().empty());
  const int lamp = *world->GeomId("cue_lamp");
  const float red[4] = {1, 0, 0, 1};
  std::copy_n(red, 4, world->model()->geom_rgba + 4 * lamp);
  for (int size : {64, 128, 256}) {
    Image image;
    const Status s = (*renderer)->Render(*world, "front", size, size, &image);
    ASSERT_TRUE(s.ok()) << s.message();
    ASSERT_EQ(image.rgb.size(), static_cast<size_t>(3 * size * size));
    const auto color = ColorAt(*world, image, world->data()->geom_xpos + 3 * lamp);
    EXPECT_GT(color[0], 0.8);
    EXPECT_LT(color[1], 0.35);
    // The lamp is nearest to the camera: in the lower half. Red pixels are nowhere above.
    int above = 0, below = 0;
    for (int y = 0; y < size; ++y) {
      for (int x = 0; x < size; ++x) {
        const uint8_t* p = &image.rgb[3 * (y * size + x)];
        if (p[0] > 200 && p[1] < 90) (y < size / 2 ? above : below) += 1;
      }
    }
    EXPECT_EQ(above, 0);
    EXPECT_GE(below, 16 * (size / 64) * (size / 64));  // at least 4x4 pixels at 64x64
  }
}

TEST(Renderer, RestoredStateLooksTheSame) {
  auto world = LoadScene();
  auto renderer = Renderer::Create(world->model(), 64, 64);
  ASSERT_TRUE(renderer.ok());
  Action a = Hold();
  a.value[1] = 0.5f;
  StepN(*world, a, 6);
  const auto saved = world->SaveState();
  Image before, after;
  ASSERT_TRUE((*renderer)->Render(*world, "wrist", 64, 64, &before).ok());
  StepN(*world, a, 4);
  ASSERT_TRUE(world->RestoreState(saved).ok());
  ASSERT_TRUE((*renderer)->Render(*world, "wrist", 64, 64, &after).ok());
  EXPECT_EQ(before.rgb, after.rgb);
}

TEST(Renderer, BadRequests) {
  auto world = LoadScene();
  auto renderer = Renderer::Create(world->model(), 64, 64);
  ASSERT_TRUE(renderer.ok());
  Image image;
  EXPECT_EQ((*renderer)->Render(*world, "front", 65, 64, &image).code(), StatusCode::kBadInput);
  EXPECT_EQ((*renderer)->Render(*world, "side", 64, 64, &image).code(), StatusCode::kBadInput);
}

TEST(Renderer, TwoThreadsDrawTheSame) {
  Image images[2];
  std::thread threads[2];
  for (int i = 0; i < 2; ++i) {
    threads[i] = std::thread([&image = images[i]] {
      auto world = World::Load(kScene);
      if (!world.ok()) return;
      auto renderer = Renderer::Create((*world)->model(), 64, 64);
      if (!renderer.ok()) return;
      for (int k = 0; k < 10; ++k) {
        if (!(*world)->Step(Hold()).ok()) return;
        if (!(*renderer)->Render(**world, "front", 64, 64, &image).ok()) return;
      }
    });
  }
  for (auto& t : threads) t.join();
  ASSERT_EQ(images[0].rgb.size(), 3u * 64 * 64);
  EXPECT_EQ(images[0].rgb, images[1].rgb);
}

TEST(Renderer, FreeCamera) {
  auto world = LoadScene();
  auto renderer = Renderer::Create(world->model(), 320, 240, {true, true, 4});
  ASSERT_TRUE(renderer.ok());
  mjvCamera camera;
  mjv_defaultFreeCamera(world->model(), &camera);
  Image image;
  const Status drawn = (*renderer)->RenderFree(*world, camera, 320, 240, &image);
  ASSERT_TRUE(drawn.ok()) << drawn.message();
  int distinct = 0;
  for (size_t i = 3; i < image.rgb.size(); i += 3) distinct += image.rgb[i] != image.rgb[0];
  EXPECT_GT(distinct, 1000);
}

TEST(World, AHandPullsABodyUntilItLetsGo) {
  auto world = LoadScene(), left_alone = LoadScene();
  const int hand = *world->BodyId("hand");
  EXPECT_EQ(world->Pull({0, {}, {}}).code(), StatusCode::kBadInput);
  const double* at = world->data()->xpos + 3 * hand;
  const std::array<double, 3> target = {at[0], at[1] + 0.3, at[2]};
  ASSERT_TRUE(world->Pull({hand, {}, target}).ok());
  StepN(*world, Hold(), 10);
  StepN(*left_alone, Hold(), 10);
  EXPECT_NE(world->StateHash(), left_alone->StateHash());
  EXPECT_GT(at[1], left_alone->data()->xpos[3 * hand + 1]);
  world->Release();
  for (int i = 0; i < 6; ++i) EXPECT_EQ(world->data()->xfrc_applied[6 * hand + i], 0);
}

TEST(World, AHandTurnsABody) {
  auto world = LoadScene(), left_alone = LoadScene();
  const int hand = *world->BodyId("hand");
  World::Hand turning;
  turning.body = hand;
  const mjtNum up[3] = {0, 0, 1};
  mjtNum quarter[4];
  mju_axisAngle2Quat(quarter, up, 1.5);
  turning.turn.emplace();
  mju_mulQuat(turning.turn->data(), quarter, world->data()->xquat + 4 * hand);
  ASSERT_TRUE(world->Pull(turning).ok());
  StepN(*world, Hold(), 10);
  StepN(*left_alone, Hold(), 10);
  const auto left_to_turn = [&](World& w) {
    mjtNum back[4], rest[4], axis[3];
    mju_negQuat(back, w.data()->xquat + 4 * hand);
    mju_mulQuat(rest, turning.turn->data(), back);
    mju_quat2Vel(axis, rest, 1);
    return mju_norm3(axis);
  };
  EXPECT_LT(left_to_turn(*world), left_to_turn(*left_alone) - 0.01);
  world->Release();
  for (int i = 0; i < 6; ++i) EXPECT_EQ(world->data()->xfrc_applied[6 * hand + i], 0);
}

TEST(Renderer, SaysWhatLiesUnderAPoint) {
  auto world = LoadScene();
  auto renderer = Renderer::Create(world->model(), 320, 240);
  ASSERT_TRUE(renderer.ok());
  mjvCamera camera;
  mjv_defaultFreeCamera(world->model(), &camera);
  const int hand = *world->BodyId("hand");
  for (int i = 0; i < 3; ++i) camera.lookat[i] = world->data()->xipos[3 * hand + i];
  camera.distance = 0.6;
  std::array<double, 3> hit{};
  const int body = (*renderer)->BodyAt(*world, camera, 4.0 / 3, 0.5, 0.5, &hit);
  EXPECT_GT(body, 0);
  EXPECT_LT(mju_dist3(hit.data(), camera.lookat), 0.2);
  camera.lookat[2] += 3;  // over everything, looking up
  camera.elevation = 30;
  EXPECT_LT((*renderer)->BodyAt(*world, camera, 4.0 / 3, 0.5, 0.5, &hit), 1);
}

TEST(Renderer, MarksAreDrawnOnlyWhereAskedFor) {
  auto world = LoadScene();
  auto renderer = Renderer::Create(world->model(), 320, 240);
  ASSERT_TRUE(renderer.ok());
  mjvCamera camera;
  mjv_defaultFreeCamera(world->model(), &camera);
  Image plain, marked, again;
  ASSERT_TRUE((*renderer)->RenderFree(*world, camera, 320, 240, &plain).ok());
  Renderer::Marks marks;
  marks.frames = true;
  ASSERT_TRUE((*renderer)->RenderFree(*world, camera, 320, 240, &marked, marks).ok());
  ASSERT_TRUE((*renderer)->RenderFree(*world, camera, 320, 240, &again).ok());
  EXPECT_NE(plain.rgb, marked.rgb);
  EXPECT_EQ(plain.rgb, again.rgb);
}

}  // namespace
}  // namespace kvla

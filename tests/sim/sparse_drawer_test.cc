// SPDX-License-Identifier: Apache-2.0
// Images without the faces that no pixel shows, against MuJoCo's own drawing of all of them.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <random>

#include "sim/renderer.h"
#include "sim/world.h"

namespace kvla {
namespace {

// Boxes, cylinders, capsules and a sphere.
const std::filesystem::path kScene =
    std::filesystem::path(KVLA_ASSET_ROOT) / "tasks" / "shell_game" / "scene.xml";

struct Pair {
  // Reflections make MuJoCo draw the whole scene. Nothing in it reflects.
  explicit Pair(const World& w)
      : world(w),
        whole(*Renderer::Create(w.model(), 160, 120, {.reflections = true})),
        sparse(*Renderer::Create(w.model(), 160, 120)) {}

  void ExpectSame(const mjvCamera& camera, int width, int height) {
    Image a, b;
    ASSERT_TRUE(whole->RenderFree(world, camera, width, height, &a).ok());
    ASSERT_TRUE(sparse->RenderFree(world, camera, width, height, &b).ok());
    EXPECT_EQ(a.rgb, b.rgb);
    lit += std::ranges::any_of(a.rgb, [](uint8_t value) { return value > 0; });
  }

  const World& world;
  std::unique_ptr<Renderer> whole, sparse;
  int lit = 0;  // images that show something
};

// Cameras all round the arm, some of them inside its links.
TEST(SparseDrawer, DrawsWhatMuJoCoDrawsFromEverywhere) {
  auto world = World::Load(kScene);
  ASSERT_TRUE(world.ok()) << world.status().message();
  const int hand = *(*world)->GeomId("hand");  // a box
  (*world)->model()->geom_type[hand] = mjGEOM_ELLIPSOID;
  Pair pair(**world);
  std::mt19937 random(5);
  const auto between = [&](double low, double high) {
    return std::uniform_real_distribution<double>(low, high)(random);
  };
  mjvCamera camera;
  mjv_defaultCamera(&camera);
  constexpr int kSizes[][2] = {{64, 64}, {33, 17}, {160, 120}, {1, 1}};
  for (int i = 0; i < 200; ++i) {
    camera.lookat[0] = between(-0.2, 0.8);
    camera.lookat[1] = between(-0.4, 0.4);
    camera.lookat[2] = between(-0.1, 0.7);
    camera.distance = i % 3 == 0 ? between(0.01, 0.1) : between(0.1, 2);
    camera.azimuth = between(0, 360);
    camera.elevation = between(-90, 90);
    SCOPED_TRACE(i);
    pair.ExpectSame(camera, kSizes[i % 4][0], kSizes[i % 4][1]);
  }
  EXPECT_GT(pair.lit, 100);
}

TEST(SparseDrawer, LeavesWhatIsTransparentToMuJoCo) {
  auto world = World::Load(kScene);
  ASSERT_TRUE(world.ok()) << world.status().message();
  mjModel* model = (*world)->model();
  for (int i = 0; i < model->ngeom; i += 2) model->geom_rgba[4 * i + 3] = 0.5f;
  Pair pair(**world);
  mjvCamera camera;
  mjv_defaultFreeCamera(model, &camera);
  pair.ExpectSame(camera, 64, 64);
  EXPECT_EQ(pair.lit, 1);
}

}  // namespace
}  // namespace kvla

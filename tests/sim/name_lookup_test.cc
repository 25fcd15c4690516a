// SPDX-License-Identifier: Apache-2.0
#include "sim/name_lookup.h"

#include <gtest/gtest.h>

#include "sim/world.h"

namespace kvla {
namespace {

struct Lights {
  explicit Lights(NameLookup& names) : geoms(names.Numbered(mjOBJ_GEOM, "light", 3)) { ++made_; }
  std::vector<int> geoms;
  static inline int made_ = 0;
};

struct Missing {
  explicit Missing(NameLookup& names)
      : first(names.Id(mjOBJ_GEOM, "no_such_geom")), second(names.Id(mjOBJ_BODY, "nor_body")) {}
  int first, second;
};

class NameLookupTest : public testing::Test {
 protected:
  std::unique_ptr<World> world_ =
      *World::Load(std::string(KVLA_ASSET_ROOT) + "/tasks/pick_place/scene.xml");
};

TEST_F(NameLookupTest, AWorldLooksASetOfIdsUpOnce) {
  Lights::made_ = 0;
  EXPECT_TRUE(world_->Bind<Lights>().ok());
  ASSERT_EQ(world_->Ids<Lights>().geoms.size(), 3u);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(world_->Ids<Lights>().geoms[static_cast<size_t>(i)],
              *world_->GeomId("light" + std::to_string(i)));
  }
  EXPECT_EQ(Lights::made_, 1);
  ASSERT_TRUE(world_->Reset().ok());
  world_->Ids<Lights>();
  EXPECT_EQ(Lights::made_, 1);
  const auto other = *World::Load(world_->path());
  other->Ids<Lights>();
  EXPECT_EQ(Lights::made_, 2);
}

TEST_F(NameLookupTest, TheFirstNameThatIsMissingIsSaidAndItsIdIsSafe) {
  const Status status = world_->Bind<Missing>();
  EXPECT_EQ(status.code(), StatusCode::kBadInput);
  EXPECT_NE(status.message().find("no geom named 'no_such_geom'"), std::string::npos)
      << status.message();
  EXPECT_EQ(world_->Ids<Missing>().first, 0);
  EXPECT_EQ(world_->Ids<Missing>().second, 0);
}

TEST_F(NameLookupTest, PositionsAndMocapBodiesAreThoseOfTheModel) {
  NameLookup names(*world_);
  EXPECT_EQ(names.Position("block"), world_->model()->jnt_qposadr[*world_->JointId("block")]);
  EXPECT_EQ(names.AllNumbered(mjOBJ_GEOM, "light"), names.Numbered(mjOBJ_GEOM, "light", 3));
  EXPECT_TRUE(names.AllNumbered(mjOBJ_GEOM, "button").empty());
  EXPECT_TRUE(names.status().ok());
  EXPECT_EQ(names.Mocap("block"), 0);
  EXPECT_NE(names.status().message().find("body 'block' must be a mocap body"), std::string::npos);
  const auto shapes = *World::Load(std::string(KVLA_ASSET_ROOT) + "/tasks/match_sample/scene.xml");
  NameLookup there(*shapes);
  EXPECT_EQ(there.Mocap("shape2"), shapes->model()->body_mocapid[*shapes->BodyId("shape2")]);
  EXPECT_TRUE(there.status().ok());
}

}  // namespace
}  // namespace kvla

// SPDX-License-Identifier: Apache-2.0
#include "tests/kv_efficient/episodes.h"

namespace kvla {
namespace {

TEST(Band, KeepsItsChunksAndNoOthers) {
  const CacheGeometry g = SmallGeometry();
  CacheConfig c = SmallConfig("band");
  c.band_first = 3;
  c.band_chunks = 2;
  c.keep = "compressed";
  auto cache = MakeCache(g, c);
  RunEpisode(*cache, MakeEpisode(g, 60, 5));
  for (int chunk = 0; chunk < 13; ++chunk) {
    const ChunkDecision& decision = cache->chunks()[chunk].decision;
    const bool kept = chunk == 3 || chunk == 4;
    EXPECT_EQ(decision.action, kept ? ChunkAction::kCompressed : ChunkAction::kDropped) << chunk;
    EXPECT_EQ(decision.reason, kept ? ReasonCode::kWithinBudget : ReasonCode::kWindowOnly) << chunk;
  }
}

TEST(Band, FromTheFirstChunkOnItIsWhatASinkKeeps) {
  const CacheGeometry g = SmallGeometry();
  CacheConfig band = SmallConfig("band"), sink = SmallConfig("sink_window");
  band.band_chunks = sink.sink_chunks = 4;
  auto a = MakeCache(g, band), b = MakeCache(g, sink);
  const Episode episode = MakeEpisode(g, 60, 5);
  RunEpisode(*a, episode);
  RunEpisode(*b, episode);
  for (int chunk = 0; chunk < 13; ++chunk) {
    EXPECT_EQ(a->chunks()[chunk].decision.action, b->chunks()[chunk].decision.action) << chunk;
  }
  EXPECT_EQ(FindCacheMethod("band")->first_chunks(band), 4);
  band.band_first = 1;
  EXPECT_EQ(FindCacheMethod("band")->first_chunks(band), 0);
}

}  // namespace
}  // namespace kvla

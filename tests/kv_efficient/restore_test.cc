// SPDX-License-Identifier: Apache-2.0
// Forged states: a cache takes only what Save() could have written, else it is left empty.
#include <cmath>
#include <functional>
#include <limits>

#include "kv_efficient/saved_state.h"
#include "tests/kv_efficient/every_method.h"

namespace kvla {
namespace {

// A saved state, taken apart.
struct State {
  enum {
    kLayers,
    kHeads,
    kWidth,
    kSlots,
    kChunk,
    kFormat,
    kInstruction,
    kBlocks,
    kNearBegin,
    kLists
  };
  std::array<int, 10> sizes{};
  std::vector<int> appended;
  std::vector<std::vector<FarToken>> far;
  std::vector<float> values;  // keys and values of all lanes
  std::vector<uint8_t> policy;
  std::vector<DecisionEvent> log;
  uint64_t taken = 0;
  int mass_block = 0;
  std::vector<std::vector<float>> mass;  // by lane and block, where the method asks for it

  explicit State(const std::vector<uint8_t>& saved) {
    ByteReader in(saved);
    std::vector<uint8_t> store;
    EXPECT_TRUE(in.List(&store) && in.List(&policy));
    uint64_t events = 0;
    in.Value(&events);
    log.resize(events);
    for (DecisionEvent& e : log) {
      in.Value(&e.block);
      in.Value(&e.decision.chunk);
      in.Value(&e.decision.action);
      in.Value(&e.decision.score);
      in.Value(&e.decision.reason);
    }
    in.Value(&taken);
    if (!in.done()) in.Value(&mass_block);
    while (!in.done() && in.ok()) in.List(&mass.emplace_back());
    EXPECT_TRUE(in.done());
    ByteReader body(store);
    for (int& size : sizes) body.Value(&size);
    body.List(&appended);
    far.resize(sizes[kLists]);
    for (auto& lane : far) body.List(&lane);
    float value = 0;
    while (!body.done() && body.Value(&value)) values.push_back(value);
  }

  std::vector<uint8_t> Bytes() const {
    ByteWriter body;
    for (const int size : sizes) body.Value(size);
    body.List(appended);
    for (const auto& lane : far) body.List(lane);
    body.Raw(values.data(), values.size() * sizeof(float));
    ByteWriter out;
    out.List(body.Take());
    out.List(policy);
    out.Value<uint64_t>(log.size());
    for (const DecisionEvent& e : log) {
      out.Value(e.block);
      out.Value(e.decision.chunk);
      out.Value(e.decision.action);
      out.Value(e.decision.score);
      out.Value(e.decision.reason);
    }
    out.Value(taken);
    if (!mass.empty()) out.Value(mass_block);
    for (const std::vector<float>& list : mass) out.List(list);
    return out.Take();
  }
};

using Forge = std::function<void(State&)>;

// Calls the last chunk's tokens another chunk's, with the positions that such would have.
void Rename(State& state, int to) {
  std::vector<FarToken>& lane = state.far[0];
  const int from = lane.back().chunk;
  for (FarToken& token : lane) {
    if (token.chunk != from) continue;
    token.chunk = to;
    const int block = to * 4 + token.offset / 3;
    token.position = static_cast<float>(block);
  }
}

// A cache of 37 blocks under `config`, its state forged: must be refused, and leave nothing.
void ExpectRefused(const CacheConfig& config, const std::vector<std::pair<const char*, Forge>>& all,
                   const EpisodeFacts& facts = {}) {
  const CacheGeometry g = SmallGeometry();
  const Episode e = MakeEpisode(g, 40, 31);
  auto cache = MakeCache(g, config);
  std::vector<std::vector<at::Tensor>> outputs;
  BeginEpisode(*cache, e, facts);
  RunBlocks(*cache, e, 0, 37, &outputs);
  const std::vector<uint8_t> saved = cache->Save();
  ASSERT_EQ(State(saved).Bytes(), saved);
  auto copy = MakeCache(g, config);
  ASSERT_TRUE(copy->Restore(saved).ok());
  for (const auto& [what, forge] : all) {
    State state(saved);
    forge(state);
    ASSERT_NE(state.Bytes(), saved) << what;
    ASSERT_TRUE(copy->Restore(saved).ok());
    EXPECT_EQ(copy->Restore(state.Bytes()).code(), StatusCode::kBadInput)
        << config.policy << ": " << what;
    EXPECT_EQ(copy->blocks(), 0) << what;
    EXPECT_EQ(copy->store().held_tokens(), 0) << what;
    EXPECT_EQ(copy->store().committed_bytes(), 0) << what;
    EXPECT_TRUE(copy->chunks().empty() && copy->decision_log().empty()) << what;
  }
}

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// Of 37 blocks in chunks of 4 with a window of 6, 7 chunks have left; tokens 2 and on are chunk
// 0's.
TEST(Restore, ForgedTokensAreRefused) {
  const std::vector<std::pair<const char*, Forge>> forged = {
      {"chunk 2^24", [](State& s) { Rename(s, 1 << 24); }},
      {"a chunk that is near", [](State& s) { Rename(s, 7); }},
      {"chunk -1 behind the instruction", [](State& s) { s.far[0][5].chunk = -1; }},
      {"chunk -2", [](State& s) { s.far[0][0].chunk = -2; }},
      {"count -4", [](State& s) { s.far[0][5].count = -4; }},
      {"count 0", [](State& s) { s.far[0][5].count = 0; }},
      {"count of a summary", [](State& s) { s.far[0][5].count = 4; }},
      {"position NaN", [](State& s) { s.far[0][5].position = kNan; }},
      {"position infinite", [](State& s) { s.far[0][5].position = HUGE_VALF; }},
      {"position of another block", [](State& s) { s.far[0][5].position += 1; }},
      {"summary 3", [](State& s) { s.far[0][5].summary = static_cast<SummaryKind>(3); }},
      {"weight NaN", [](State& s) { s.far[0][5].weight = kNan; }},
      {"weight 0", [](State& s) { s.far[0][5].weight = 0; }},
      {"weight of the instruction", [](State& s) { s.far[0][0].weight = 2; }},
      {"offset negative", [](State& s) { s.far[0][2].offset = -1; }},
      {"offset behind the chunk",
       [](State& s) {
         s.far[0][13].offset = 12;
         s.far[0][13].position = 4;
       }},
      {"a token twice", [](State& s) { s.far[0][3] = s.far[0][2]; }},
      {"disordered", [](State& s) { std::swap(s.far[0][3], s.far[0][4]); }},
      {"disordered chunks",
       [](State& s) { std::swap_ranges(&s.far[0][2], &s.far[0][14], &s.far[0][14]); }},
      {"an instruction token gone", [](State& s) { s.far[0].erase(s.far[0].begin()); }},
      {"a token gone", [](State& s) { s.far[0].erase(s.far[0].begin() + 5); }},
      {"a token more", [](State& s) { s.far[0].push_back(s.far[0].back()); }},
  };
  ExpectRefused(SmallConfig("full"), forged);
}

TEST(Restore, ForgedSummariesAreRefused) {
  const std::vector<std::pair<const char*, Forge>> forged = {
      {"count -4", [](State& s) { s.far[0][2].count = -4; }},
      {"count of a token", [](State& s) { s.far[0][2].count = 1; }},
      {"a slot twice", [](State& s) { s.far[0][3].offset = 0; }},
      {"slot out of the block", [](State& s) { s.far[0][4].offset = 3; }},
      {"position NaN", [](State& s) { s.far[0][4].position = kNan; }},
      {"the last slot gone", [](State& s) { s.far[0].pop_back(); }},
      {"a mean of a frame", [](State& s) { s.far[0][2].summary = SummaryKind::kFrames; }},
      {"a token",
       [](State& s) {
         s.far[0][2] = {0, 0, 1, 0};
       }},
  };
  ExpectRefused(SmallConfig("mean_pool"), forged);
}

TEST(Restore, SizesThatContradictEachOtherAreRefused) {
  std::vector<std::pair<const char*, Forge>> forged = {
      {"a layer without instruction", [](State& s) { s.appended[1] = 0; }},
      {"appended twice", [](State& s) { s.appended[1] = 2; }},
      {"a layer less", [](State& s) { s.appended.pop_back(); }},
      {"a value less", [](State& s) { s.values.pop_back(); }},
      {"a value more", [](State& s) { s.values.push_back(0); }},
      {"a key NaN", [](State& s) { s.values[3] = kNan; }},
      {"a value infinite", [](State& s) { s.values.back() = -HUGE_VALF; }},
  };
  for (size_t i = 0; i < 10; ++i) {
    for (const int value : {-1, 1 << 30}) {
      forged.push_back({"a size", [i, value](State& s) { s.sizes[i] = value; }});
    }
  }
  // A block more or less that lies near, and all values that it needs: the chunk before should have
  // left, or should be near.
  const CacheGeometry g = SmallGeometry();
  const size_t row = size_t{2} * g.lanes() * g.tokens_per_block * g.head_dim;
  forged.push_back({"3 blocks more", [row](State& s) {
                      s.sizes[State::kBlocks] += 3;
                      s.values.resize(s.values.size() + 3 * row, 0);
                      s.log.push_back({37, {7, ChunkAction::kDropped, 0, ReasonCode::kAll}});
                    }});
  forged.push_back({"9 blocks less", [row](State& s) {
                      s.sizes[State::kBlocks] -= 9;
                      s.values.resize(s.values.size() - 9 * row);
                    }});
  ExpectRefused(SmallConfig("full"), forged);
}

TEST(Restore, ForgedDecisionsAreRefused) {
  const std::vector<std::pair<const char*, Forge>> forged = {
      {"chunk negative", [](State& s) { s.log[3].decision.chunk = -1; }},
      {"chunk 2^24", [](State& s) { s.log[3].decision.chunk = 1 << 24; }},
      {"a chunk -1 beside",
       [](State& s) {
         DecisionEvent more = s.log[3];
         more.decision.chunk = -1;
         s.log.insert(s.log.begin() + 3, more);
       }},
      {"another chunk", [](State& s) { s.log[3].decision.chunk = 2; }},
      {"action window", [](State& s) { s.log[3].decision.action = ChunkAction::kWindow; }},
      {"action 9", [](State& s) { s.log[3].decision.action = static_cast<ChunkAction>(9); }},
      {"action that the tokens deny",
       [](State& s) { s.log[3].decision.action = ChunkAction::kDropped; }},
      {"reason 200", [](State& s) { s.log[3].decision.reason = static_cast<ReasonCode>(200); }},
      {"score NaN", [](State& s) { s.log[3].decision.score = kNan; }},
      {"score infinite", [](State& s) { s.log[3].decision.score = INFINITY; }},
      {"block negative", [](State& s) { s.log[3].block = -1; }},
      {"block to come", [](State& s) { s.log.back().block = 37; }},
      {"block between", [](State& s) { s.log[3].block += 1; }},
      {"one less", [](State& s) { s.log.pop_back(); }},
      {"one twice", [](State& s) { s.log.push_back(s.log.back()); }},
      {"taken of the future", [](State& s) { s.taken = 8; }},
      {"mass unasked", [](State& s) { s.mass = {{1}}; }},
      {"a state of another method",
       [](State& s) {
         s.policy = {1, 2, 3};
       }},
  };
  ExpectRefused(SmallConfig("full"), forged);
  // Where nothing was kept no token denies an action.
  ExpectRefused(
      SmallConfig("window"),
      {{"action window", [](State& s) { s.log[3].decision.action = ChunkAction::kWindow; }},
       {"action 9", [](State& s) { s.log[3].decision.action = static_cast<ChunkAction>(9); }}});
}

TEST(Restore, ForgedStatesOfMethodsAreRefused) {
  const ScratchDir folder;
  const CacheGeometry g = SmallGeometry();
  const auto put = [](std::vector<uint8_t>* bytes, size_t at, auto value) {
    std::memcpy(bytes->data() + at, &value, sizeof(value));
  };
  CacheConfig gated = SmallConfig("gated");
  gated.gate = SaveRandomGate(folder, g, gated);
  ExpectRefused(gated, {{"NaN", [&](State& s) { put(&s.policy, 4, kNan); }},
                        {"short", [](State& s) { s.policy.pop_back(); }}});
  ExpectRefused(SmallConfig("oracle"),
                {{"begin negative", [&](State& s) { put(&s.policy, 0, -1); }},
                 {"end before begin", [&](State& s) { put(&s.policy, 4, 9); }},
                 {"short", [](State& s) { s.policy.pop_back(); }}},
                {.stream_key = 1, .cue_blocks = {{10, 12}}});
  ExpectRefused(SmallConfig("random"), {{"short", [](State& s) { s.policy.pop_back(); }}});
}

TEST(Restore, AForgedMassIsRefused) {
  const CacheGeometry g = SmallGeometry();
  // Keeps everything and asks for the mass.
  class Watching : public CachePolicy {
   public:
    Needs needs() const override { return {.attention_blocks = 2}; }
    float Score(const ChunkView&) override { return 1; }
    std::unique_ptr<CachePolicy> Clone() const override { return std::make_unique<Watching>(); }
    MethodCost cost() const override { return {}; }
  };
  const Episode e = MakeEpisode(g, 20, 31);
  auto cache = MakeCache(g, SmallConfig("full"), std::make_unique<Watching>());
  RunEpisode(*cache, e);
  const std::vector<uint8_t> saved = cache->Save();
  ASSERT_TRUE(cache->Restore(saved).ok());
  for (const float mass : {kNan, -1.0F, HUGE_VALF}) {
    State state(saved);
    state.mass[1][2] = mass;
    EXPECT_EQ(cache->Restore(state.Bytes()).code(), StatusCode::kBadInput) << mass;
  }
  const std::function<void(State&)> forgeries[] = {
      [](State& s) { s.mass.pop_back(); }, [](State& s) { s.mass.emplace_back(); },
      [](State& s) { s.mass[0].resize(63, 0.0F); },  // the lane holds 62 tokens
      [](State& s) { s.mass_block = 2; }, [](State& s) { s.mass_block = -1; }};
  for (const auto& forge : forgeries) {
    State state(saved);
    forge(state);
    EXPECT_EQ(cache->Restore(state.Bytes()).code(), StatusCode::kBadInput);
  }
}

}  // namespace
}  // namespace kvla

// SPDX-License-Identifier: Apache-2.0
// The chunk store: what is held, where it lies, and that memory really goes back.
#include <sys/resource.h>

#include <fstream>

#include "tests/kv_efficient/every_method.h"

namespace kvla {
namespace {

using Tokens = std::vector<FarToken>;

// Decides every leaving chunk by a function.
class Scripted : public CachePolicy {
 public:
  using Function = std::function<Plan(const ChunkView&, const FarState&)>;
  explicit Scripted(Function f, Needs needs = {}) : f_(std::move(f)), needs_(needs) {}
  Needs needs() const override { return needs_; }
  float Score(const ChunkView&) override { return 0; }
  Plan PlanLeaving(const ChunkView& v, const FarState& s) override { return f_(v, s); }
  std::unique_ptr<CachePolicy> Clone() const override { return std::make_unique<Scripted>(*this); }
  MethodCost cost() const override { return {}; }

 private:
  Function f_;
  Needs needs_;
};

Plan Decide(int chunk, ChunkAction action) { return {{{chunk, action, 1, ReasonCode::kAll}}, {}}; }

TEST(Store, KeepEverythingEqualsFullBitForBit) {
  const CacheGeometry g = SmallGeometry();
  const Episode e = MakeEpisode(g, 60, 1);
  auto full = MakeCache(g, SmallConfig("full"));
  const at::Tensor want = RunEpisode(*full, e);
  // Keys asked for, one lane plan each that keeps all, a budget nobody reaches, a rate of one.
  CacheConfig random = SmallConfig("random");
  random.keep_rate = 1;
  auto by_rate = MakeCache(g, random);
  EXPECT_TRUE(torch::equal(RunEpisode(*by_rate, e), want));
  auto asked = MakeCache(
      g, SmallConfig("full"),
      std::make_unique<Scripted>(
          [&](const ChunkView& v, const FarState&) {
            EXPECT_EQ(v.keys.size(2), 12);
            Plan plan = Decide(v.chunk, ChunkAction::kDropped);
            plan.lanes.assign(g.lanes(), LanePlan{.cuts = {{v.chunk, {{0, 5}, {5, 12}}}}});
            return plan;
          },
          Needs{.keys_values = true}));
  EXPECT_TRUE(torch::equal(RunEpisode(*asked, e), want));
  EXPECT_EQ(asked->stats().cost.kv_live_bytes, full->stats().cost.kv_live_bytes);
}

TEST(Store, LeavingChunkIsSeenUnrotated) {
  const CacheGeometry g = SmallGeometry();
  const Episode e = MakeEpisode(g, 40, 8);
  double worst = 0;
  auto cache = MakeCache(
      g, SmallConfig("full"),
      std::make_unique<Scripted>(
          [&](const ChunkView& view, const FarState&) {
            for (int layer = 0; layer < g.layers; ++layer) {
              const int64_t at = g.instruction_tokens + view.first_block * g.tokens_per_block;
              worst =
                  std::max(worst, MaxDifference(view.keys[layer], e.k[layer].narrow(1, at, 12)));
              EXPECT_TRUE(torch::equal(view.values[layer], e.v[layer].narrow(1, at, 12)));
            }
            return Decide(view.chunk, ChunkAction::kDropped);
          },
          Needs{.keys_values = true}));
  RunEpisode(*cache, e);
  EXPECT_LT(worst, 2e-6);
  EXPECT_GT(worst, 0);
}

// Keys and values of the same tokens, at their original or clamped positions, after many cuts.
// `fitted`: values are the method's own.
void CheckContents(const KvCache& cache, const Episode& e, bool fitted = false) {
  const CacheGeometry& g = cache.geometry();
  const int t = g.tokens_per_block, chunk_tokens = t * cache.schedule().chunk_blocks;
  for (int layer = 0; layer < g.layers; ++layer) {
    for (int h = 0; h < g.kv_heads; ++h) {
      const Tokens& tokens = cache.store().far(layer, h);
      const LaneView far = cache.store().FarView(layer, h);
      ASSERT_EQ(far.tokens, static_cast<int>(tokens.size()));
      for (int i = 0; i < far.tokens; ++i) {
        const FarToken& token = tokens[i];
        const bool frame = token.summary == SummaryKind::kFrames;
        const int first = token.chunk < 0 ? token.offset
                                          : g.instruction_tokens + token.chunk * chunk_tokens +
                                                token.offset * (frame ? t : 1);
        at::Tensor k = e.k[layer][h][first], v = e.v[layer][h][first];
        const auto block = (first - g.instruction_tokens) / t;
        float position = token.chunk < 0 ? -1.0f : block;
        for (int b = 1; !token.original() && b < token.count; ++b) {
          k = k + e.k[layer][h][first + b * (frame ? 1 : t)];
          v = v + e.v[layer][h][first + b * (frame ? 1 : t)];
          position += frame ? block : block + b;
        }
        if (!token.original()) {
          EXPECT_EQ(token.count, frame ? t : cache.schedule().chunk_blocks);
        }
        if (far.bias.defined()) {
          EXPECT_FLOAT_EQ(far.bias[0][0][0][i].item<float>(), std::log(token.count * token.weight));
        }
        EXPECT_FLOAT_EQ(token.position, position / token.count);
        EXPECT_LT(MaxDifference(far.keys[0][0][i], k / token.count), 2e-6);
        if (fitted) continue;
        EXPECT_LT(MaxDifference(far.values[0][0][i], v / token.count), 2e-6);
      }
      const LaneView near = cache.store().NearView(layer, h);
      const int64_t at = g.instruction_tokens + cache.store().near_begin_block() * t;
      EXPECT_TRUE(torch::equal(near.values[0][0], e.v[layer][h].narrow(0, at, near.tokens)));
    }
  }
}

TEST(Store, HoldsTheTokensItSaysUnderEveryMethod) {
  const ScratchDir folder;
  const CacheGeometry g = SmallGeometry();
  const Episode e = MakeEpisode(g, 75, 2);
  for (const CacheConfig& c : EveryMethod(folder, g)) {
    auto cache = MakeCache(g, c);
    RunEpisode(*cache, e, {.stream_key = 4, .cue_blocks = {{20, 30}}});
    CheckContents(*cache, e, c.policy == "attention_matching");
  }
}

// Token ranges that differ by lane, older chunks cut again, against a softmax written out per head.
TEST(Store, RaggedLanesMatchAReferencePerHead) {
  const CacheGeometry g = SmallGeometry();
  const Episode e = MakeEpisode(g, 60, 3);
  auto cache = MakeCache(
      g, SmallConfig("full"), std::make_unique<Scripted>([&](const ChunkView& v, const FarState&) {
        Plan plan = Decide(v.chunk, ChunkAction::kWhole);
        if (v.chunk >= 3) plan.decisions.push_back({v.chunk - 3, ChunkAction::kDropped});
        if (v.chunk < 2) return plan;  // uniform at first
        for (int lane = 0; lane < g.lanes(); ++lane) {
          LanePlan cuts;
          const int n = 2 + (lane * 3 + v.chunk) % 5;
          const bool summarize = lane == 1 && v.chunk % 2 == 0;
          cuts.cuts.push_back({v.chunk,
                               {{0, 2}, {12 - n, 12}},
                               summarize ? SummaryKind::kSlots : SummaryKind::kNone});
          if (v.chunk >= 3) cuts.cuts.push_back({v.chunk - 3, {{0, lane % 2}}});
          plan.lanes.push_back(cuts);
        }
        return plan;
      }));
  std::vector<std::vector<at::Tensor>> outputs;
  BeginEpisode(*cache, e);
  RunBlocks(*cache, e, 0, 59, &outputs);
  CheckContents(*cache, e);
  EXPECT_FALSE(cache->store().uniform());
  EXPECT_NE(cache->store().far(0, 0).size(), cache->store().far(0, 1).size());
  const RotaryTable table = TableFor(g);
  const auto turn = [&](const at::Tensor& x, int position) {
    const at::Tensor p = torch::full({1}, position, torch::kInt64);
    return Rotate(x, table.Cos(p), table.Sin(p));
  };
  // The views before block 59 are the far region it meets.
  std::vector<at::Tensor> want;
  for (int head = 0; head < g.heads; ++head) {
    const LaneView far = cache->store().FarView(1, head / 2),
                   near = cache->store().NearView(1, head / 2);
    const at::Tensor q = e.q[1][head].narrow(0, 59 * 3, 3);
    const at::Tensor own_k = e.k[1][head / 2].narrow(0, 2 + 59 * 3, 3);
    const at::Tensor keys = torch::cat({near.keys[0][0], turn(own_k, 59)});
    at::Tensor far_logits = torch::matmul(turn(q, g.age_clamp_blocks), far.keys[0][0].t()) / 4;
    if (far.bias.defined()) far_logits = far_logits + far.bias[0][0];
    const at::Tensor p =
        torch::cat({far_logits, torch::matmul(turn(q, 59), keys.t()) / 4}, 1).softmax(1);
    want.push_back(torch::matmul(p, torch::cat({far.values[0][0], near.values[0][0],
                                                e.v[1][head / 2].narrow(0, 2 + 59 * 3, 3)})));
  }
  RunBlocks(*cache, e, 59, 60, &outputs);
  EXPECT_LT(MaxDifference(outputs[1].back(), torch::stack(want)), 1e-5);
}

TEST(Store, BadPlansChangeNothing) {
  const CacheGeometry g = SmallGeometry();
  const Episode e = MakeEpisode(g, 40, 4);
  const std::vector<std::function<Plan(int)>> bad = {
      [](int) { return Plan{}; },
      [](int c) { return Decide(c + 1, ChunkAction::kWhole); },
      [](int c) { return Decide(c, ChunkAction::kWindow); },
      [](int c) {  // chunk 0 was dropped
        Plan p = Decide(c, ChunkAction::kWhole);
        p.decisions.push_back({0, ChunkAction::kWhole});
        return p;
      },
      [](int c) {
        Plan p = Decide(c, ChunkAction::kWhole);
        p.decisions.push_back(p.decisions[0]);
        return p;
      },
      [](int c) {
        Plan p = Decide(c, ChunkAction::kWhole);
        p.lanes.resize(3);
        return p;
      },
      [&](int c) {
        Plan p = Decide(c, ChunkAction::kWhole);
        p.lanes.assign(g.lanes(), LanePlan{.cuts = {{c, {{0, 13}}}}});
        return p;
      },
      [&](int c) {
        Plan p = Decide(c, ChunkAction::kWhole);
        p.lanes.assign(g.lanes(), LanePlan{.cuts = {{c, {{4, 8}, {2, 3}}}}});
        return p;
      },
  };
  for (size_t i = 0; i < bad.size(); ++i) {
    auto cache =
        MakeCache(g, SmallConfig("full"),
                  std::make_unique<Scripted>([&](const ChunkView& v, const FarState&) {
                    return v.chunk == 3 ? bad[i](3) : Decide(v.chunk, ChunkAction::kDropped);
                  }));
    std::vector<std::vector<at::Tensor>> outputs;
    BeginEpisode(*cache, e);
    RunBlocks(*cache, e, 0, 21, &outputs);
    ASSERT_TRUE(cache->BeginBlock().ok());
    for (int layer = 0; layer < 2; ++layer) {
      cache->Attend(layer, e.q[layer].narrow(1, 63, 3), e.k[layer].narrow(1, 65, 3),
                    e.v[layer].narrow(1, 65, 3));
    }
    const int64_t before = cache->store().held_tokens();
    const Status s = cache->EndBlock();
    EXPECT_FALSE(s.ok()) << i;
    EXPECT_FALSE(s.message().empty());
    EXPECT_EQ(cache->store().held_tokens(), before + g.lanes() * 3) << i;
    EXPECT_EQ(cache->store().near_begin_block(), 12) << i;
  }
}

// Every lane cuts each leaving chunk as `cut` says.
std::unique_ptr<KvCache> WithCuts(const CacheGeometry& g,
                                  const std::function<ChunkCut(int lane)>& cut) {
  return MakeCache(
      g, SmallConfig("full"),
      std::make_unique<Scripted>([lanes = g.lanes(), cut](const ChunkView& v, const FarState&) {
        Plan plan = Decide(v.chunk, ChunkAction::kWhole);
        for (int lane = 0; lane < lanes; ++lane) {
          ChunkCut of_lane = cut(lane);
          of_lane.chunk = v.chunk;
          plan.lanes.push_back({{of_lane}});
        }
        return plan;
      }));
}

TEST(Store, LanesOfOneLengthWhoseTokensCountDifferentlyAreAttendedApart) {
  const CacheGeometry g = SmallGeometry();
  const Episode e = MakeEpisode(g, 30, 6);
  const ChunkCut summary{0, {}, SummaryKind::kSlots}, block{0, {{0, 3}}};
  const auto mixed = WithCuts(g, [&](int lane) { return lane % 2 == 0 ? summary : block; });
  const at::Tensor out = RunEpisode(*mixed, e);
  EXPECT_EQ(mixed->store().far(0, 0).size(), mixed->store().far(0, 1).size());
  EXPECT_FALSE(mixed->store().uniform(0));
  const at::Tensor summaries = RunEpisode(*WithCuts(g, [&](int) { return summary; }), e);
  const at::Tensor blocks = RunEpisode(*WithCuts(g, [&](int) { return block; }), e);
  // Heads 0 and 1 read KV head 0.
  EXPECT_LT(MaxDifference(out.narrow(1, 0, 2), summaries.narrow(1, 0, 2)), 1e-5);
  EXPECT_LT(MaxDifference(out.narrow(1, 2, 2), blocks.narrow(1, 2, 2)), 1e-5);
  EXPECT_GT(MaxDifference(summaries, blocks), 1e-2);
}

TEST(Store, TheTemporaryIsThatOfTheLaneThatNeedsMost) {
  const CacheGeometry g = SmallGeometry();
  const auto cache = WithCuts(g, [](int lane) {
    return ChunkCut{
        0, {{0, lane == 0 ? 0 : 12}}, lane == 0 ? SummaryKind::kSlots : SummaryKind::kNone};
  });
  RunEpisode(*cache, MakeEpisode(g, 10, 3));
  EXPECT_EQ(cache->stats().cost.kv_transient_bytes,
            3 * 16 * 4);  // a summary a slot, one lane's keys
}

CacheGeometry BigGeometry() {
  CacheGeometry g;
  g.layers = 4;
  g.heads = 4;
  g.kv_heads = 4;
  g.head_dim = 64;
  g.tokens_per_block = 64;
  g.max_blocks = 128;
  g.instruction_tokens = 1;
  g.age_clamp_blocks = 8;
  return g;  // 64 MiB when full
}

int64_t ResidentSetBytes() {
  int64_t size = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> size >> resident;
  return resident * 4096;
}

TEST(Store, MemoryReallyGoesBack) {
  const CacheGeometry g = BigGeometry();
  CacheConfig c = SmallConfig("full");
  const int64_t mib = 1 << 20, full_bytes = int64_t{2} * 16 * 64 * 64 * 128 * 4;
  const at::Tensor q = torch::randn({4, 64, 64}), k = torch::randn({4, 64, 64});
  int64_t peak[3], live[3], reserved[3];
  int index = 0;
  for (const char* policy : {"full", "mean_pool", "window"}) {
    c.policy = policy;
    auto cache = MakeCache(g, c);
    const int64_t before = ResidentSetBytes();
    for (int block = 0; block < g.max_blocks; ++block) {
      ASSERT_TRUE(cache->BeginBlock().ok());
      for (int layer = 0; layer < g.layers; ++layer) cache->Attend(layer, q, k, k);
      ASSERT_TRUE(cache->EndBlock().ok());
    }
    peak[index] = ResidentSetBytes() - before;
    live[index] = cache->stats().cost.kv_live_bytes;
    reserved[index] = cache->store().committed_bytes();
    EXPECT_EQ(cache->store().pool().committed_bytes(), reserved[index]);
    EXPECT_GE(reserved[index], live[index]);
    EXPECT_LT(reserved[index],
              live[index] + 16 * 2 * 3 * kPageBytes);  // at most page rounding a lane
    EXPECT_EQ(cache->store().ResidentBytes(), reserved[index]) << policy;
    // Everything goes back at the end of an episode.
    cache->Reset({});
    EXPECT_EQ(cache->store().ResidentBytes(), 0);
    EXPECT_EQ(cache->store().pool().committed_bytes(), 0);
    ++index;
  }
  EXPECT_EQ(live[0], full_bytes);
  EXPECT_LT(live[1], full_bytes * 0.35);
  EXPECT_LT(live[2], full_bytes * 0.1);
#ifndef __SANITIZE_ADDRESS__  // what it holds back of freed memory is in the process's
  EXPECT_GT(peak[0], 60 * mib);
  EXPECT_LT(peak[1], 30 * mib);
  EXPECT_LT(peak[2], 16 * mib);
#else
  (void)peak, (void)mib;
#endif
}

// The blocks of the window come again as they were: far region, decisions and outputs stay, under
// every method (`recompute` alone asks for it).
TEST(Store, AReopenedWindowTakesTheSameBlocksAgain) {
  const ScratchDir folder;
  const CacheGeometry g = SmallGeometry();
  const Episode e = MakeEpisode(g, 26, 12);
  const EpisodeFacts facts{.stream_key = 1, .cue_blocks = {{4, 20}}};
  for (const CacheConfig& c : EveryMethod(folder, g)) {
    auto once = MakeCache(g, c), again = MakeCache(g, c);
    // What its queries gave or were stays.
    if (once->needs().attention_blocks || once->needs().queries) continue;
    std::vector<std::vector<at::Tensor>> once_out, again_out, dropped;
    BeginEpisode(*once, e, facts);
    BeginEpisode(*again, e, facts);
    for (int block = 0; block < e.blocks; ++block) {
      RunBlocks(*once, e, block, block + 1, &once_out);
      ASSERT_TRUE(again->ReopenWindow().ok());
      EXPECT_EQ(again->blocks(), c.schedule().NearBegin(block));
      RunBlocks(*again, e, again->blocks(), block, &dropped);
      RunBlocks(*again, e, block, block + 1, &again_out);
    }
    EXPECT_TRUE(torch::equal(Joined(once_out), Joined(again_out))) << c.policy;
    EXPECT_EQ(once->Save(), again->Save()) << c.policy;
    ASSERT_TRUE(again->BeginBlock().ok());
    EXPECT_EQ(again->ReopenWindow().code(), StatusCode::kInternal);
  }
}

TEST(Store, NothingLeaksFromOneEpisodeToTheNext) {
  const ScratchDir folder;
  const CacheGeometry g = SmallGeometry();
  const Episode a = MakeEpisode(g, 70, 10), b = MakeEpisode(g, 50, 11);
  for (const CacheConfig& c : EveryMethod(folder, g)) {
    auto used = MakeCache(g, c), fresh = MakeCache(g, c);
    RunEpisode(*used, a, {.stream_key = 1, .cue_blocks = {{4, 40}}});
    const EpisodeFacts facts{.stream_key = 2, .cue_blocks = {{20, 22}}};
    EXPECT_TRUE(torch::equal(RunEpisode(*used, b, facts), RunEpisode(*fresh, b, facts)))
        << c.policy;
    EXPECT_EQ(used->Save(), fresh->Save());
  }
}

TEST(Store, HeadsAndStoresAreApart) {
  const CacheGeometry g = SmallGeometry();
  const Episode a = MakeEpisode(g, 40, 12);
  Episode b = MakeEpisode(g, 40, 12);
  b.k[0][1].mul_(3);  // KV head 1 of layer 0
  b.v[0][1].neg_();
  auto one = MakeCache(g, SmallConfig("mean_pool")), two = MakeCache(g, SmallConfig("mean_pool"));
  // In turns, so that a shared buffer would show.
  std::vector<std::vector<at::Tensor>> first, second;
  BeginEpisode(*one, a);
  BeginEpisode(*two, b);
  for (int block = 0; block < 40; ++block) {
    RunBlocks(*one, a, block, block + 1, &first);
    RunBlocks(*two, b, block, block + 1, &second);
  }
  const at::Tensor x = Joined(first), y = Joined(second);
  EXPECT_TRUE(torch::equal(x[1], y[1]));
  EXPECT_TRUE(torch::equal(x[0].narrow(0, 0, 2), y[0].narrow(0, 0, 2)));
  EXPECT_GT(MaxDifference(x[0].narrow(0, 2, 2), y[0].narrow(0, 2, 2)), 0.1);
}

TEST(Store, CloneAndSaveGoOnAlike) {
  const ScratchDir folder;
  const CacheGeometry g = SmallGeometry();
  const Episode e = MakeEpisode(g, 64, 13);
  const EpisodeFacts facts{.stream_key = 21, .cue_blocks = {{10, 12}, {44, 45}}};
  for (const CacheConfig& c : EveryMethod(folder, g)) {
    auto cache = MakeCache(g, c);
    std::vector<std::vector<at::Tensor>> outputs, rest, cloned, restored;
    BeginEpisode(*cache, e, facts);
    RunBlocks(*cache, e, 0, 30, &outputs);
    cache->TakeChangedDecisions();
    RunBlocks(*cache, e, 30, 37, &outputs);
    auto clone = cache->Clone();
    auto copy = MakeCache(g, c);
    const std::vector<uint8_t> saved = cache->Save();
    Status s = copy->Restore(saved);
    ASSERT_TRUE(s.ok()) << s.message();
    EXPECT_EQ(copy->Save(), saved);
    EXPECT_EQ(copy->stats().cost.kv_live_bytes, cache->stats().cost.kv_live_bytes);
    EXPECT_EQ(copy->store().committed_bytes(), cache->store().committed_bytes());
    EXPECT_EQ(copy->chunks().size(), cache->chunks().size());
    // What was told of the decisions is not told again.
    const size_t news = cache->TakeChangedDecisions().size();
    EXPECT_LT(news, cache->decision_log().size());
    EXPECT_EQ(clone->TakeChangedDecisions().size(), news);
    EXPECT_EQ(copy->TakeChangedDecisions().size(), news);
    RunBlocks(*cache, e, 37, 64, &rest);
    RunBlocks(*clone, e, 37, 64, &cloned);
    RunBlocks(*copy, e, 37, 64, &restored);
    EXPECT_TRUE(torch::equal(Joined(rest), Joined(cloned))) << c.policy;
    EXPECT_TRUE(torch::equal(Joined(rest), Joined(restored))) << c.policy;
    EXPECT_EQ(cache->Save(), copy->Save());
    // A state cut short anywhere, or of another geometry, leaves an empty cache.
    for (size_t size = 0; size < saved.size(); size += saved.size() / 23 + 1) {
      EXPECT_FALSE(copy->Restore(std::span(saved).first(size)).ok());
      EXPECT_EQ(copy->blocks(), 0);
    }
    CacheGeometry other = g;
    other.tokens_per_block = 4;
    if (c.gate.empty()) {
      EXPECT_FALSE(MakeCache(other, c)->Restore(saved).ok());
    }
  }
}

TEST(Store, WrongUseIsAnError) {
  const CacheGeometry g = SmallGeometry();
  const Episode e = MakeEpisode(g, 80, 14);
  auto cache = MakeCache(g, SmallConfig("window"));
  EXPECT_FALSE(cache->EndBlock().ok());
  EXPECT_THROW(cache->Attend(0, e.q[0], e.k[0], e.v[0]), c10::Error);
  EXPECT_FALSE(
      cache->AppendInstruction(0, torch::zeros({2, 3, 16}), torch::zeros({2, 3, 16})).ok());
  RunEpisode(*cache, e);
  EXPECT_EQ(cache->BeginBlock().code(), StatusCode::kBadInput);  // longer than max_blocks
  EXPECT_FALSE(cache->AppendInstruction(0, e.k[0].narrow(1, 0, 1), e.k[0].narrow(1, 0, 1)).ok());
  cache->Reset({});
  ASSERT_TRUE(cache->BeginBlock().ok());
  EXPECT_THROW(
      cache->Attend(0, e.q[0].narrow(1, 0, 2), e.k[0].narrow(1, 0, 3), e.v[0].narrow(1, 0, 3)),
      c10::Error);
  EXPECT_FALSE(cache->EndBlock().ok());  // a layer is missing
}

TEST(Store, AttentionMassSumsToOneAQuery) {
  const CacheGeometry g = SmallGeometry();
  const Episode e = MakeEpisode(g, 60, 15);
  std::vector<float> last;
  auto cache = MakeCache(
      g, SmallConfig("full"),
      std::make_unique<Scripted>(
          [&](const ChunkView& v, const FarState& s) {
            last.clear();
            EXPECT_EQ(static_cast<int>(s.lanes.size()), g.lanes());
            for (const LaneState& lane : s.lanes) {
              EXPECT_EQ(lane.mass.size(), lane.far.size() + 4 * g.tokens_per_block);
              last.insert(last.end(), lane.mass.begin() + g.instruction_tokens, lane.mass.end());
            }
            return Decide(v.chunk, v.chunk % 2 ? ChunkAction::kWhole : ChunkAction::kCompressed);
          },
          Needs{.attention_blocks = 0}));
  const at::Tensor with = RunEpisode(*cache, e);
  double sum = 0;
  for (const float m : last) {
    EXPECT_GT(m, 0);
    sum += m;
  }
  // Old chunks, the instruction and the window share one unit a query, head and layer.
  EXPECT_LT(sum, 2.0 * 4 * 3 * 60);
  EXPECT_GT(sum, 0.5 * 2.0 * 4 * 3 * 60);
}

TEST(Store, ReportedAttentionSumsToOneALayerAndChangesNothing) {
  const CacheGeometry g = SmallGeometry();
  const Episode e = MakeEpisode(g, 30, 16);
  auto plain = MakeCache(g, SmallConfig("mean_pool")),
       watched = MakeCache(g, SmallConfig("mean_pool"));
  watched->ReportAttention(true);
  EXPECT_TRUE(torch::equal(RunEpisode(*plain, e), RunEpisode(*watched, e)));
  EXPECT_TRUE(plain->received().empty());
  const size_t row = 1 + watched->chunks().size();
  ASSERT_EQ(watched->received().size(), g.layers * row);
  for (int layer = 0; layer < g.layers; ++layer) {
    double sum = 0;
    for (size_t i = 0; i < row; ++i) {
      EXPECT_GT(watched->received()[layer * row + i], 0);  // nothing was dropped
      sum += watched->received()[layer * row + i];
    }
    EXPECT_NEAR(sum, 1, 1e-4);
  }
  EXPECT_GT(watched->stats().report_ms, 0);
}

}  // namespace
}  // namespace kvla

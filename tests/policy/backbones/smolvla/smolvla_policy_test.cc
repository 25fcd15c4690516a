// SPDX-License-Identifier: Apache-2.0
// SmolVLA as a policy with sessions.
#include "policy/backbones/smolvla/smolvla_policy.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/rng.h"
#include "kv_efficient/methods/learned/random_gate.h"
#include "policy/backbones/smolvla/smolvla.h"
#include "policy/load_policy.h"
#include "tests/policy/backbones/smolvla/loop_smolvla.h"
#include "tests/policy/backbones/smolvla/tiny_smolvla.h"
#include "tests/scratch_dir.h"

namespace kvla {
namespace {

using Targets = std::vector<std::array<float, kTargetDim>>;

constexpr int kFrames = 7;

CacheConfig Cache(const std::string& method) {
  CacheConfig cache;
  cache.policy = method;
  cache.window_blocks = 2;
  cache.chunk_blocks = 1;
  if (method == "gated") cache.gate = kRandomGate, cache.threshold = 0, cache.budget_chunks = 2;
  return cache;
}

class SmolVlaPolicyTest : public testing::Test {
 protected:
  void SetUp() override {
    source_.checkpoint = MakeLoopSmolVla(scratch_ / "checkpoint");
    source_.adapter = LoopAdapter();
    source_.asset_root = KVLA_ASSET_ROOT;
    auto policy = LoadPolicy(source_);
    ASSERT_TRUE(policy.ok()) << policy.status().message();
    policy_ = *std::move(policy);
    Rng rng(5);
    for (int f = 0; f < kFrames; ++f) {
      for (auto& image : pixels_[static_cast<size_t>(f)]) {
        image.resize(size_t{3} * 56 * 40);
        for (uint8_t& value : image) value = static_cast<uint8_t>(rng.UniformInt(256));
      }
    }
  }
  FrameInput Frame(int f) const {
    FrameInput frame;
    for (const auto& image : pixels_[static_cast<size_t>(f)]) frame.images.emplace_back(image);
    frame.proprio = {0.4F, 0.01F * static_cast<float>(f), 0.2F, 0, 0.1F, 0.2F, 0.04F};
    return frame;
  }
  std::unique_ptr<Session> Begun(const CacheConfig& cache, uint64_t key,
                                 const std::string& says = "lift it") {
    auto session = policy_->NewSession({.cache = cache, .max_blocks = kFrames});
    EXPECT_TRUE(session.ok()) << session.status().message();
    EpisodeContext context;
    context.instruction = says;
    context.stream_key = key;
    EXPECT_TRUE((*session)->BeginEpisode(context).ok());
    return *std::move(session);
  }
  Inference Next(Session& session, int frame) {
    Result<Inference> inference = InferOne(*policy_, session, Frame(frame));
    EXPECT_TRUE(inference.ok()) << inference.status().message();
    return inference.ok() ? *std::move(inference) : Inference();
  }
  std::vector<Targets> Episode(Session& session) {
    std::vector<Targets> all;
    for (int f = 0; f < kFrames; ++f) all.push_back(Next(session, f).targets);
    return all;
  }
  ScratchDir scratch_;
  PolicySource source_;
  std::unique_ptr<Policy> policy_;
  std::array<std::array<std::vector<uint8_t>, 2>, kFrames> pixels_;
};

TEST_F(SmolVlaPolicyTest, SessionsInTurnAreThoseOneByOne) {
  for (const char* method : {"full", "window", "gated"}) {
    SCOPED_TRACE(method);
    const auto a = Begun(Cache(method), 1), b = Begun(Cache(method), 2, "put the ball back");
    const std::vector<Targets> first = Episode(*a), second = Episode(*b);
    EXPECT_NE(first, second);
    const auto c = Begun(Cache(method), 1), d = Begun(Cache(method), 2, "put the ball back");
    for (int f = 0; f < kFrames; ++f) {
      const FrameInput frame = Frame(f);
      const InferRequest due[] = {{d.get(), &frame}, {c.get(), &frame}};
      const auto answers = policy_->Infer(due);
      ASSERT_TRUE(answers[0].ok() && answers[1].ok());
      EXPECT_EQ(answers[0]->targets, second[static_cast<size_t>(f)]);
      EXPECT_EQ(answers[1]->targets, first[static_cast<size_t>(f)]);
    }
    // An episode leaves nothing to the next one of its session.
    ASSERT_TRUE(c->BeginEpisode({.instruction = "put the ball back", .stream_key = 2}).ok());
    EXPECT_EQ(Episode(*c), second);
  }
}

// Of one gray, a stretched image is what a square camera sees; a padded one has a black margin.
TEST_F(SmolVlaPolicyTest, AnImageIsPaddedOrStretched) {
  const auto seen = [&](const char* resize, int width) {
    source_.adapter.resize = resize;
    for (AdapterCamera& camera : source_.adapter.cameras) camera.width = width;
    auto policy = LoadPolicy(source_);
    EXPECT_TRUE(policy.ok()) << policy.status().message();
    policy_ = *std::move(policy);
    for (auto& image : pixels_[0]) image.assign(size_t{3} * static_cast<size_t>(width) * 40, 120);
    return Next(*Begun(Cache("full"), 1), 0).targets;
  };
  const Targets square = seen("pad", 40), stretched = seen("stretch", 56), padded = seen("pad", 56);
  double apart = 0;
  for (size_t i = 0; i < square.size(); ++i) {
    for (size_t j = 0; j < square[i].size(); ++j) {
      EXPECT_NEAR(stretched[i][j], square[i][j], 1e-5);
      apart = std::max(apart, std::abs(double{padded[i][j]} - square[i][j]));
    }
  }
  EXPECT_GT(apart, 1e-4);
}

TEST_F(SmolVlaPolicyTest, AnotherStreamKeyIsAnotherNoise) {
  const auto a = Begun(Cache("full"), 1), b = Begun(Cache("full"), 1), c = Begun(Cache("full"), 3);
  EXPECT_EQ(Next(*a, 0).targets, Next(*b, 0).targets);
  EXPECT_NE(Next(*a, 0).targets, Next(*c, 0).targets);
}

TEST_F(SmolVlaPolicyTest, HistoryIsSeenUnderFullAndNotWithAWindowOfNoOtherBlock) {
  CacheConfig none = Cache("window");
  none.window_blocks = 0;
  const auto full = Begun(Cache("full"), 1), alone = Begun(none, 1);
  for (int f = 0; f < kFrames; ++f) {
    const Inference with = Next(*full, f), without = Next(*alone, f);
    double apart = 0;
    for (size_t i = 0; i < with.targets.size(); ++i) {
      for (size_t k = 0; k < kTargetDim; ++k) {
        apart = std::max<double>(apart, std::abs(with.targets[i][k] - without.targets[i][k]));
      }
    }
    if (f == 0) {
      EXPECT_EQ(apart, 0);
    } else {
      EXPECT_GT(apart, 1e-4) << "inference " << f << " does not see the history";
      EXPECT_GT(with.cost.flops, without.cost.flops);
    }
    EXPECT_EQ(without.cost.attended_tokens, with.cost.attended_tokens / (f + 1));
    EXPECT_EQ(without.cost.kv_attending_bytes, *with.cost.kv_attending_bytes / (f + 1));
  }
}

// Through the adapter by hand, over a plain prefix: the published model.
TEST_F(SmolVlaPolicyTest, TheFirstInferenceIsThatOfThePublishedModel) {
  const auto model = SmolVla::Load(source_.checkpoint);
  ASSERT_TRUE(model.ok());
  const auto bytes = BytePair::Load(source_.checkpoint / "tokenizer.json");
  ASSERT_TRUE(bytes.ok()) << bytes.status().message();
  const SmolVlaConfig& config = (*model)->config();
  SmolVlaInput input;
  for (const auto& image : pixels_[0]) {
    input.images.push_back(
        torch::from_blob(const_cast<uint8_t*>(image.data()), {40, 56, 3}, at::kByte).clone());
  }
  const auto adapter = Adapter::Create(source_.adapter,
                                       {.cameras = {config.cameras[0].name, config.cameras[1].name},
                                        .state = 8,
                                        .action = 7,
                                        .chunk = config.chunk,
                                        .statistics = ""},
                                       {});
  ASSERT_TRUE(adapter.ok()) << adapter.status().message();
  input.state = torch::tensor(adapter->State(Frame(0).proprio));
  input.prompt = (*model)->PromptIds(*bytes, "lift it");
  EXPECT_EQ(input.prompt.size(), 8U);
  Rng rng(StableHash("flow noise of inference 0", 9));
  input.noise = torch::empty({config.chunk, config.max_action});
  for (int64_t i = 0; i < input.noise.numel(); ++i) {
    input.noise.data_ptr<float>()[i] = static_cast<float>(rng.Normal());
  }
  const auto actions = (*model)->Actions(input);
  ASSERT_TRUE(actions.ok()) << actions.status().message();
  const at::Tensor dense = actions->contiguous();
  const Targets want = adapter->Targets(
      {dense.const_data_ptr<float>(), static_cast<size_t>(dense.numel())}, Frame(0).proprio);
  const auto session = Begun(Cache("full"), 9);
  const Targets got = Next(*session, 0).targets;
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < want.size(); ++i) {
    for (size_t k = 0; k < kTargetDim; ++k) EXPECT_NEAR(got[i][k], want[i][k], 1e-5);
  }
}

TEST_F(SmolVlaPolicyTest, CostsDecisionsAndAttentionAreTold) {
  const auto session = Begun(Cache("gated"), 1);
  session->ReportAttention(true);
  std::set<int> decided;
  for (int f = 0; f < kFrames; ++f) {
    const Inference inference = Next(*session, f);
    for (const ChunkDecision& d : inference.changes) decided.insert(d.chunk);
    const LatencyParts& ms = inference.cost.latency;
    for (const double part : {ms.encode_ms, ms.linear_ms, ms.attend_ms, ms.act_ms}) {
      EXPECT_GT(part, 0);
    }
    EXPECT_EQ(ms.gate_ms > 0, f >= 2);
    EXPECT_GT(*inference.cost.method_bytes, 0);
    ASSERT_FALSE(inference.attention.empty());
    EXPECT_EQ(inference.attention.size() % 4, 0U);  // layers
  }
  EXPECT_EQ(decided, (std::set<int>{0, 1, 2, 3, 4}));
  EXPECT_EQ(session->HeldChunks().size(), 2U);
  session->SetRetention(0, 1);
}

TEST_F(SmolVlaPolicyTest, CachesThatTheExpertCannotReadAreRefused) {
  const auto refused = [&](CacheConfig cache, const std::string& what) {
    const Status status = policy_->NewSession({.cache = std::move(cache)}).status();
    EXPECT_EQ(status.code(), StatusCode::kBadInput) << what;
    EXPECT_NE(status.message().find("possible are full, window"), std::string::npos)
        << status.message();
    EXPECT_NE(status.message().find(what), std::string::npos) << status.message();
  };
  for (const char* method : {"mean_pool", "recompute", "quest"}) refused(Cache(method), method);
  CacheConfig tokens = Cache("h2o");
  tokens.budget_tokens = 8;
  refused(tokens, "h2o");
  CacheConfig packed = Cache("full");
  packed.storage = "int8";
  refused(packed, "int8");
  CacheConfig pooled = Cache("random");
  pooled.keep = "compressed";
  refused(pooled, "compressed");
}

TEST_F(SmolVlaPolicyTest, SourcesThatDoNotFitAreRefused) {
  const auto refused = [&](const PolicySource& source, const std::string& what) {
    const Status described = DescribePolicy(source).status(), loaded = LoadPolicy(source).status();
    EXPECT_EQ(described.code(), StatusCode::kBadInput) << what;
    EXPECT_NE(described.message().find(what), std::string::npos) << described.message();
    EXPECT_EQ(loaded.message(), described.message());
  };
  PolicySource other = source_;
  other.adapter.cameras.pop_back();
  refused(other, "the checkpoint 2 (observation.images.camera1, observation.images.camera2)");
  other = source_;
  other.adapter = {};
  refused(other, "cameras: the run has 0");
  other = source_;
  other.robot.control_rate_hz = 50;
  refused(other, "takes 50");
  other = source_;
  other.device = "cuda";
  refused(other, "cuda");
  other = source_;
  other.backbone.shape = "smolvla";
  refused(other, "leave one of both out");
  other = {};
  refused(other, "'checkpoint' is empty");
  other.backbone.shape = "smolvla";
  refused(other, "weights: random");
}

TEST_F(SmolVlaPolicyTest, AnAdapterMayLieBesideTheCheckpoint) {
  source_.adapter = {};
  ASSERT_TRUE(WriteFileAtomic(source_.checkpoint / "adapter.yaml",
                              "cameras:\n"
                              "  - {camera: front, feature: observation.images.camera1}\n"
                              "  - {camera: wrist, feature: observation.images.camera2}\n"
                              "state: [position, quaternion_wxyz, gripper]\n"
                              "replan_steps: 3\n")
                  .ok());
  const auto described = DescribePolicy(source_);
  ASSERT_TRUE(described.ok()) << described.status().message();
  EXPECT_EQ(described->spec.replan_steps, 3);
  EXPECT_EQ(described->spec.cameras[1].name, "wrist");
  EXPECT_FALSE(described->random_weights);
}

TEST_F(SmolVlaPolicyTest, HashesAreOfTheFilesOrOfWhatWeightsAreDrawnFrom) {
  const std::string before = *HashPolicy(source_);
  EXPECT_EQ(*HashPolicy(source_), before);
  ASSERT_TRUE(WriteFileAtomic(source_.checkpoint / "tokenizer.json", "{}").ok());
  EXPECT_NE(*HashPolicy(source_), before);
  PolicySource shape;
  shape.backbone.shape = "smolvla", shape.backbone.weights = "random";
  const std::string drawn = *HashPolicy(shape);
  shape.backbone.seed = 1;
  EXPECT_NE(*HashPolicy(shape), drawn);
  shape.backbone.seed = 0, shape.backbone.layers = 2;
  EXPECT_NE(*HashPolicy(shape), drawn);
}

TEST(SmolVlaShape, HasThePublishedSizesWithoutACheckpoint) {
  PolicySource shape;
  shape.backbone.shape = "smolvla", shape.backbone.weights = "random";
  const auto described = DescribePolicy(shape);
  ASSERT_TRUE(described.ok()) << described.status().message();
  EXPECT_TRUE(described->random_weights);
  EXPECT_EQ(described->spec.tokens_per_block, 145);
  EXPECT_EQ(described->spec.attention->layers, 16);
  EXPECT_EQ(described->spec.attention->head_dim, 64);
  shape.backbone.layers = 2;
  EXPECT_EQ(DescribePolicy(shape)->spec.attention->layers, 2);
}

TEST(SmolVlaRandom, WeightsAreTheSameEveryTime) {
  const auto config = LoadSmolVlaConfig(TinySmolVla("two_cameras"));
  ASSERT_TRUE(config.ok());
  const auto stages = TinyStages("two_cameras");
  ASSERT_TRUE(stages.ok());
  const SmolVlaInput input = InputOf(*stages, 2);
  const auto actions = [&](uint64_t seed) {
    const auto model = SmolVla::Random(*config, seed);
    EXPECT_TRUE(model.ok());
    return *(*model)->Actions(input);
  };
  const at::Tensor once = actions(1);
  EXPECT_TRUE(once.isfinite().all().item<bool>());
  EXPECT_LT(once.abs().max().item<double>(), 100);
  EXPECT_TRUE(torch::equal(once, actions(1)));
  EXPECT_FALSE(torch::equal(once, actions(2)));
}

}  // namespace
}  // namespace kvla

#include "policy/train.h"

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <limits>

#include "kv_efficient/chunk_gate.h"
#include "kv_efficient/safetensors.h"
#include "kv_efficient/torch.h"
#include "policy/batch.h"
#include "policy/checkpoint.h"
#include "policy/encode_episode.h"
#include "policy/gate_training.h"
#include "policy/losses.h"
#include "policy/text_encoder_files.h"
#include "policy/training_forward.h"
#include "policy/vla.h"
#include "tests/policy/tiny_policy.h"

namespace kvla {
namespace {

namespace fs = std::filesystem;

TinySource Source(int episodes) {
  std::vector<DemoEpisode> list;
  for (int i = 0; i < episodes; ++i)
    list.push_back(TinyEpisode(TinyConfig(), 18 + i % 3, 3, i % 3));
  return TinySource(std::move(list));
}

TrainConfig Config(const std::string& name) {
  TrainConfig config;
  config.policy = TinyConfig();
  config.out = (fs::path(testing::TempDir()) / name).string();
  fs::remove_all(config.out);
  config.steps = 6;
  config.batch = 4;
  config.sample_blocks = 12;
  config.checkpoint_every = 1;
  config.validate_every = 3;
  config.compression_share = 0.5;
  config.bf16 = "off";
  config.half_file = false;
  config.threads = 1;
  return config;
}

std::map<std::string, at::Tensor> Weights(const std::string& folder) {
  Result<TensorFile> file = ReadSafetensors(fs::path(folder) / "model.safetensors");
  EXPECT_TRUE(file.ok()) << file.status().message();
  return file.ok() ? file->tensors : std::map<std::string, at::Tensor>{};
}

TEST(Train, LossFalls) {
  TinySource demos = Source(6), validation = Source(3);
  TrainConfig config = Config("loss_falls");
  config.steps = 60;
  config.warmup_steps = 5;
  config.checkpoint_every = 60;
  std::vector<double> losses;
  TrainHooks hooks;
  hooks.on_progress = [&](const TrainProgress& p) { losses.push_back(p.loss); };
  const Status status = Train(config, demos, validation, hooks);
  ASSERT_TRUE(status.ok()) << status.message();
  ASSERT_EQ(losses.size(), 60U);
  EXPECT_LT(losses.back(), 0.7 * losses.front());
}

TEST(Train, WholeHistoriesAreValidatedWhereTheyAreTrained) {
  for (const double share : {0.0, 0.5}) {
    TinySource demos = Source(6), validation = Source(3);
    TrainConfig config = Config("whole_histories");
    config.full_history_share = share;
    std::string note;
    TrainHooks hooks;
    hooks.on_progress = [&](const TrainProgress& p) { note = p.note; };
    ASSERT_TRUE(Train(config, demos, validation, hooks).ok());
    EXPECT_EQ(note.find("whole histories") != std::string::npos, share > 0) << note;
  }
}

TEST(Train, ResumedRunEndsWithTheSameWeights) {
  TinySource demos = Source(6), validation = Source(3);
  const TrainConfig straight = Config("straight");
  ASSERT_TRUE(Train(straight, demos, validation, {}).ok());
  const TrainConfig broken = Config("broken");
  std::atomic<bool> stop = false;
  TrainHooks hooks;
  hooks.stop = &stop;
  hooks.on_progress = [&](const TrainProgress& p) { stop = p.step == 3; };
  EXPECT_EQ(Train(broken, demos, validation, hooks).code(), StatusCode::kCancelled);
  ASSERT_TRUE(Train(broken, demos, validation, {}).ok());
  const auto expected = Weights(straight.out);
  for (const auto& [name, tensor] : Weights(broken.out)) {
    EXPECT_TRUE(torch::equal(tensor, expected.at(name))) << name;
  }
}

// Two tasks whose arm goes to different sides: only the instruction tells which.
TinySource TwoTasks(int episodes) {
  std::vector<DemoEpisode> list;
  for (int i = 0; i < episodes; ++i) {
    DemoEpisode episode = TinyEpisode(TinyConfig(), 14 + i / 2 % 3, 3, i / 2 % 3);
    const bool left = i % 2 == 0;
    episode.task = left ? "left" : "right";
    episode.instruction = left ? "move the arm to the left" : "go right and press";
    for (auto& target : episode.targets) target[1] = left ? 0.1F : -0.1F;
    list.push_back(std::move(episode));
  }
  return TinySource(std::move(list));
}

TEST(Train, SentencesTellTheTasksOfOneStepApart) {
  TinySource demos = TwoTasks(6), validation = TwoTasks(4);
  TrainConfig config = Config("sentences");
  config.policy.text = "minilm";
  config.policy.vocabulary.clear();
  config.ema_decay = 0;
  config.compression_share = 0;
  config.steps = 60;
  config.warmup_steps = 5;
  config.checkpoint_every = 60;
  TrainHooks hooks;
  EXPECT_EQ(Train(config, demos, validation, hooks).code(), StatusCode::kBadInput);
  hooks.text_encoder = TextEncoderFolder(KVLA_ASSET_ROOT);
  const Status status = Train(config, demos, validation, hooks);
  ASSERT_TRUE(status.ok()) << status.message();

  Vla::Options options;
  options.checkpoint = config.out;
  options.text_encoder = hooks.text_encoder;
  options.cache.window_blocks = config.policy.window_blocks;
  options.cache.chunk_blocks = config.policy.chunk_blocks;
  Result<std::unique_ptr<Vla>> vla = Vla::Load(options);
  ASSERT_TRUE(vla.ok()) << vla.status().message();
  const DemoEpisode episode = TinyEpisode(TinyConfig(), 14, 3, 0);
  const size_t bytes = size_t{3} * 32 * 32;
  const auto first_move = [&](const std::string& instruction) {
    EXPECT_TRUE((*vla)->BeginEpisode({.instruction = instruction}).ok());
    FrameInput input;
    for (const auto& camera : episode.images) input.images.emplace_back(camera.data(), bytes);
    input.proprio = episode.proprio[0];
    const Result<Inference> inference = (*vla)->Infer(input);
    EXPECT_TRUE(inference.ok()) << inference.status().message();
    return inference->targets[0][1];
  };
  EXPECT_EQ((*vla)->config().instruction_tokens, 4);
  EXPECT_GT(first_move("move the arm to the left"), 0.03F);
  EXPECT_LT(first_move("go right and press"), -0.03F);
  EXPECT_EQ((*vla)->instruction_tokens(), 4);
}

TEST(Train, ATargetWithoutALogitIsBadInput) {
  TinySource demos = Source(3), validation = Source(3);
  TrainConfig config = Config("classes");
  config.policy.num_target_classes = 2;
  const Status status = Train(config, demos, validation, {});
  EXPECT_EQ(status.code(), StatusCode::kBadInput);
  EXPECT_NE(status.message().find("num_target_classes"), std::string::npos) << status.message();
}

TEST(Losses, PlacesThatAnEpisodeLacksDoNotCount) {
  torch::manual_seed(2);
  VlaNet net(TinyConfig());
  const torch::NoGradGuard no_grad;
  DemoEpisode episode = TinyEpisode(TinyConfig(), 8, 3, 1);
  episode.target_places = {{0.5F, 0.1F, 0.1F}, {0.6F, -0.1F, 0.1F}};
  Rng rng(1);
  const Batch batch =
      MakeBatch({&episode}, {DrawSubHistory(episode, {.max_blocks = 100, .chunk_blocks = 2}, rng)},
                TinyConfig(), torch::tensor({0, 2, 3, 4}, torch::kInt64));
  HeadOutputs outputs = TrainingForward(net, batch, Told::kTarget);
  const BlockLosses before = ComputeLosses(outputs, batch);
  outputs.places.narrow(2, 2, 2).add_(100.0);
  const BlockLosses after = ComputeLosses(outputs, batch);
  EXPECT_GT(before.places.sum().item<double>(), 0.0);
  EXPECT_TRUE(torch::equal(before.places, after.places));
  EXPECT_EQ(before.places_valid.sum().item<double>(), 8 * 2);
  episode.target_places[0].fill(std::numeric_limits<float>::quiet_NaN());
  const Batch one =
      MakeBatch({&episode}, {DrawSubHistory(episode, {.max_blocks = 100, .chunk_blocks = 2}, rng)},
                TinyConfig(), torch::tensor({0, 2, 3, 4}, torch::kInt64));
  const BlockLosses without = ComputeLosses(TrainingForward(net, one, Told::kTarget), one);
  EXPECT_EQ(without.places_valid.sum().item<double>(), 8);
  EXPECT_TRUE(without.places.isfinite().all().item<bool>());
}

TEST(Losses, TheWayIsJudgedByTheOneOfGoalAndElsewhereThatItLeadsTo) {
  torch::manual_seed(2);
  VlaNet net(TinyConfig());
  const torch::NoGradGuard no_grad;
  DemoEpisode episode = TinyEpisode(TinyConfig(), 8, 3, 1);
  episode.target_places = {{0.5F, 0.1F, 0.1F}, {0.6F, -0.1F, 0.1F}};
  std::fill(episode.target_class.begin(), episode.target_class.end(), 1);
  std::fill(episode.waypoints.begin(), episode.waypoints.end(),
            std::array<float, 3>{0.3F, 0.0F, 0.2F});
  const int steps = TinyConfig().replan_steps;
  for (int i = 0; i < steps; ++i) episode.waypoints[i] = {0.6F, -0.09F, 0.1F};  // a scattered goal
  Rng rng(1);
  const Batch batch =
      MakeBatch({&episode}, {DrawSubHistory(episode, {.max_blocks = 100, .chunk_blocks = 2}, rng)},
                TinyConfig(), torch::tensor({0, 2, 3, 4}, torch::kInt64));
  HeadOutputs outputs = TrainingForward(net, batch, Told::kTarget);
  outputs.to_goal.fill_(10.0);  // sure that every way leads to the goal
  const BlockLosses before = ComputeLosses(outputs, batch);
  EXPECT_LT(before.choice[0][0].item<double>(), 0.1);
  EXPECT_GT(before.choice[0][1].item<double>(), 5.0);
  outputs.elsewhere = outputs.elsewhere + 1.0;
  const torch::Tensor change = (ComputeLosses(outputs, batch).waypoint - before.waypoint).abs()[0];
  EXPECT_EQ(change[0].item<double>(), 0.0);
  EXPECT_GT(change[1].item<double>(), 0.1);
  outputs.goal = outputs.goal + 1.0;
  const torch::Tensor both = (ComputeLosses(outputs, batch).waypoint - before.waypoint).abs()[0];
  EXPECT_GT(both[0].item<double>(), 0.1);
  EXPECT_EQ(both[1].item<double>(), change[1].item<double>());
}

TEST(Losses, BeingSureCostsWhereTheCueIsNotInTheHistoryAndThereAlone) {
  torch::manual_seed(2);
  VlaNet net(TinyConfig());
  const torch::NoGradGuard no_grad;
  const DemoEpisode episode = TinyEpisode(TinyConfig(), 8, 3, 1);
  Rng rng(1);
  SubHistory knows = DrawSubHistory(episode, {.max_blocks = 100, .chunk_blocks = 2}, rng);
  SubHistory guesses = knows;
  guesses.holds_cue = false;
  const Batch batch = MakeBatch({&episode, &episode}, {knows, guesses}, TinyConfig(),
                                torch::tensor({0, 2, 3, 4}, torch::kInt64));
  HeadOutputs outputs = TrainingForward(net, batch, Told::kNothing);
  outputs.target.zero_();
  EXPECT_NEAR(ComputeLosses(outputs, batch).unsure.abs().max().item<double>(), 0.0, 1e-6);
  Batch two = batch;
  two.choices = torch::zeros_like(batch.choices);
  two.choices.narrow(1, 0, 2).fill_(1);
  EXPECT_GT(ComputeLosses(outputs, two).unsure.max().item<double>(), 0.1);
  outputs.target.narrow(-1, 2, outputs.target.size(-1) - 2).sub_(30.0);  // between the first two
  EXPECT_NEAR(ComputeLosses(outputs, two).unsure.abs().max().item<double>(), 0.0, 1e-3);
  outputs.target.zero_();
  outputs.target.select(-1, 1).add_(10.0);  // sure, and of the right class
  const BlockLosses losses = ComputeLosses(outputs, batch);
  EXPECT_EQ(losses.unsure_valid[0].sum().item<double>(), 0.0);
  EXPECT_EQ(losses.unsure_valid[1].sum().item<double>(), 3.0);  // the blocks of the decision
  EXPECT_EQ(losses.unsure[0].abs().sum().item<double>(), 0.0);
  EXPECT_GT(losses.unsure[1].sum().item<double>(), 3.0);
}

TEST(Losses, TargetsAreCountedAtTheCueOnTheWayAndAtTheDecision) {
  Batch batch;
  HeadOutputs outputs;
  batch.samples = 1;
  batch.blocks = 5;
  batch.target_class = torch::tensor({{0, 1, 1, 2, 2}}, torch::kInt64);
  batch.target_known = torch::tensor({{1.0F, 1.0F, 1.0F, 1.0F, 0.0F}});
  batch.uses_target = torch::tensor({{0.0F, 1.0F, 1.0F, 1.0F, 1.0F}});
  batch.decision = torch::tensor({{0.0F, 0.0F, 1.0F, 1.0F, 1.0F}});
  batch.fresh = torch::tensor({{0.0F, 1.0F, 0.0F, 1.0F, 0.0F}});
  outputs.target = torch::one_hot(torch::tensor({{0, 1, 0, 2, 2}}, torch::kInt64), 3);
  const auto count = [&](Counted counted) {
    const TargetCount of = CountTargets(outputs, batch, counted)[0];
    return std::make_pair(of.right, of.known);
  };
  EXPECT_EQ(count(Counted::kCue), std::make_pair(1.0, 1.0));
  EXPECT_EQ(count(Counted::kUse), std::make_pair(2.0, 3.0));
  EXPECT_EQ(count(Counted::kDecision), std::make_pair(1.0, 1.0));
}

TEST(Losses, WhichCueABlockSeesIsLearntWhereTheHistoryTellsIt) {
  torch::manual_seed(2);
  PolicyConfig sizes = TinyConfig();
  sizes.cue_orders = 3;
  VlaNet net(sizes);
  const torch::NoGradGuard no_grad;
  DemoEpisode episode = TinyEpisode(sizes, 8, 1, 1);
  episode.cue_blocks = {{1, 2}, {3, 5}};
  Rng rng(1);
  SubHistory knows = DrawSubHistory(episode, {.max_blocks = 100, .chunk_blocks = 2}, rng);
  SubHistory guesses = knows;
  guesses.holds_cue = false;
  const Batch batch = MakeBatch({&episode, &episode}, {knows, guesses}, sizes,
                                torch::tensor({0, 2, 3, 4}, torch::kInt64));
  const std::vector<int64_t> expected = {-1, 0, -1, 1, 1, -1, -1, -1};
  EXPECT_TRUE(torch::equal(batch.cue_order[0], torch::tensor(expected)));
  EXPECT_TRUE(torch::equal(batch.cue_order[1], torch::full({8}, -1, torch::kInt64)));
  HeadOutputs outputs = TrainingForward(net, batch, Told::kNothing);
  outputs.order.zero_();
  outputs.order.select(-1, 1).add_(10.0);  // sure that it is the second one
  const torch::Tensor loss = ComputeLosses(outputs, batch).order;
  EXPECT_GT(loss[0][1].item<double>(), 5.0);
  EXPECT_LT(loss[0][3].item<double>(), 0.1);
  EXPECT_EQ(loss[1].abs().sum().item<double>(), 0.0);
}

TEST(Batch, BlocksEncodedBeforehandChangeNothing) {
  torch::manual_seed(2);
  VlaNet net(TinyConfig());
  const torch::NoGradGuard no_grad;
  const DemoEpisode episode = TinyEpisode(TinyConfig(), 12, 3, 1);
  Rng rng(1);
  const SubHistory history = DrawSubHistory(episode, {.max_blocks = 100, .chunk_blocks = 2}, rng);
  Batch batch =
      MakeBatch({&episode}, {history}, TinyConfig(), torch::tensor({0, 2, 3, 4}, torch::kInt64));
  const torch::Tensor expected = TrainingForward(net, batch, Told::kNothing).motion;
  batch.encoded = EncodeEpisode(net, episode);
  for (torch::Tensor& camera : batch.images) camera.zero_();  // not looked at
  const torch::Tensor got = TrainingForward(net, batch, Told::kNothing).motion;
  EXPECT_LT((expected - got).abs().max().item<double>(), 1e-5);
}

TEST(Train, WhatIsNotLearntStaysAsItWas) {
  TinySource demos = Source(6), validation = Source(3);
  const TrainConfig first = Config("learns_everything");
  ASSERT_TRUE(Train(first, demos, validation, {}).ok());
  const auto before = Weights(first.out);
  for (const std::string learns : {"decoder", "heads"}) {
    TrainConfig config = Config("learns_" + learns);
    config.learns = learns;
    ASSERT_EQ(Train(config, demos, validation, {}).code(), StatusCode::kBadInput);
    config.init_from = first.out;
    const Status status = Train(config, demos, validation, {});
    ASSERT_TRUE(status.ok()) << status.message();
    for (const auto& [name, tensor] : Weights(config.out)) {
      const bool learnt = IsHead(name) || (learns == "decoder" && !IsEncoder(name));
      // The embedding of unknown words has no gradient, and decays.
      EXPECT_EQ(!torch::equal(tensor, before.at(name)), learnt) << learns << ": " << name;
    }
  }
}

TEST(Train, AnotherPolicysTensorsAreTheStartWhereTheyFit) {
  TinySource demos = Source(6), validation = Source(3);
  const TrainConfig first = Config("warm_first");
  ASSERT_TRUE(Train(first, demos, validation, {}).ok());
  TrainConfig config = Config("warm_second");
  config.warm_from = first.out;
  config.policy.num_target_classes = 5;
  config.learning_rate = 0;
  const Status status = Train(config, demos, validation, {});
  ASSERT_TRUE(status.ok()) << status.message();
  const auto before = Weights(first.out);
  for (const auto& [name, tensor] : Weights(config.out)) {
    const torch::Tensor& had = before.at(name);
    const bool fits = tensor.sizes() == had.sizes();
    EXPECT_EQ(fits, !name.starts_with("target_head") && !name.starts_with("places_head")) << name;
    // A head's new classes come after those that it had.
    EXPECT_TRUE(torch::allclose(tensor.narrow(0, 0, had.size(0)), had, 1e-4, 1e-6)) << name;
  }
  config.init_from = first.out;
  EXPECT_EQ(Train(config, demos, validation, {}).code(), StatusCode::kBadInput);
}

TEST(Train, OnlyTheNamedPartsOfAnotherPolicyAreTaken) {
  TinySource demos = Source(6), validation = Source(3);
  const TrainConfig first = Config("parts_first");
  ASSERT_TRUE(Train(first, demos, validation, {}).ok());
  TrainConfig config = Config("parts_second");
  config.seed = first.seed + 1;
  config.learning_rate = 0;
  config.warm_parts = {"model", "image_encoders.0.trunk"};
  EXPECT_EQ(Train(config, demos, validation, {}).code(), StatusCode::kBadInput);  // of what?
  config.warm_from = first.out;
  const Status status = Train(config, demos, validation, {});
  ASSERT_TRUE(status.ok()) << status.message();
  const auto before = Weights(first.out), after = Weights(config.out);
  const auto same = [&](const std::string& name) {
    return torch::allclose(after.at(name), before.at(name), 1e-4, 1e-6);
  };
  for (const auto& [name, tensor] : after) {
    const bool taken = name.starts_with("model.") || name.starts_with("image_encoders.0.trunk.");
    if (taken) EXPECT_TRUE(same(name)) << name;
  }
  for (const char* name :
       {"image_encoders.0.to_tokens.weight", "slot_embedding", "target_head.weight"}) {
    EXPECT_FALSE(same(name)) << name;
  }
  config.warm_parts = {"model", "modle"};
  const Status wrong = Train(config, demos, validation, {});
  EXPECT_EQ(wrong.code(), StatusCode::kBadInput);
  EXPECT_NE(wrong.message().find("'modle'"), std::string::npos) << wrong.message();
}

TEST(Train, EmphasisOnATaskWithoutDemonstrationsIsBadInput) {
  TinySource demos = Source(3), validation = Source(1);
  TrainConfig config = Config("emphasis");
  config.emphasis = {"tiny", "tidy"};
  const Status status = Train(config, demos, validation, {});
  EXPECT_EQ(status.code(), StatusCode::kBadInput);
  EXPECT_NE(status.message().find("'tidy'"), std::string::npos) << status.message();
}

TEST(Train, NoDemonstrationsIsBadInput) {
  TinySource none({}), validation = Source(1);
  EXPECT_EQ(Train(Config("none"), none, validation, {}).code(), StatusCode::kBadInput);
}

TEST(Batch, PaddingChangesNothing) {
  torch::manual_seed(2);
  VlaNet net(TinyConfig());
  const torch::NoGradGuard no_grad;
  const DemoEpisode episode = TinyEpisode(TinyConfig(), 12, 3, 1);
  Rng rng(1);
  const SubHistory whole = DrawSubHistory(episode, {.max_blocks = 100, .chunk_blocks = 2}, rng);
  SubHistory shorter = whole;
  shorter.blocks.resize(8);
  shorter.decisions.resize(4);
  const torch::Tensor ids = torch::tensor({0, 2, 3, 4}, torch::kInt64);
  const Batch alone = MakeBatch({&episode}, {shorter}, TinyConfig(), ids);
  const Batch padded = MakeBatch({&episode, &episode}, {shorter, whole}, TinyConfig(), ids);
  const torch::Tensor expected = TrainingForward(net, alone, Told::kNothing).motion[0];
  const torch::Tensor got = TrainingForward(net, padded, Told::kNothing).motion[0].narrow(0, 0, 8);
  EXPECT_LT((expected - got).abs().max().item<double>(), 1e-5);
}

TEST(SubHistory, TheWayToTheDecisionIsPartOfTheUse) {
  constexpr int kSteps = 4;
  DemoEpisode episode;
  episode.blocks = 10;
  episode.steps = episode.blocks * kSteps - 1;
  episode.target_class.assign(episode.steps, -1);
  episode.decision.assign(episode.steps, 0);
  episode.cue_blocks = {{1, 2}, {3, 4}};
  // Lit, seen or not; the way, from block 6 on; the decision, within block 8.
  for (const int block : {1, 2, 3, 6, 7, 8, 9}) episode.target_class[block * kSteps] = 2;
  episode.decision[8 * kSteps + 2] = 1;
  episode.target_class[8 * kSteps] = -1;
  std::vector<int> used;
  for (int block = 0; block < episode.blocks; ++block) {
    if (UsesTarget(episode, block, kSteps)) used.push_back(block);
  }
  EXPECT_EQ(used, (std::vector<int>{6, 7, 8, 9}));
  Rng rng(1);
  for (int i = 0; i < 20; ++i) {
    const SubHistory h = DrawSubHistory(
        episode, {.max_blocks = 4, .chunk_blocks = 1, .replan_steps = kSteps, .decision_share = 1},
        rng);
    EXPECT_GE(h.blocks.back(), 6);
  }
}

TEST(SubHistory, ATargetIsFreshInItsFirstBlocks) {
  DemoEpisode episode;
  episode.blocks = episode.steps = 10;
  episode.target_class = {-1, 1, -1, -1, 2, 2, 2, 2, 3, 3};
  episode.decision = {0, 0, 0, 0, 1, 1, 1, 1, 1, 1};
  episode.cue_blocks = {{1, 2}};
  std::vector<int> fresh;
  for (int block = 0; block < episode.blocks; ++block) {
    if (IsFresh(episode, block, 1)) fresh.push_back(block);
  }
  EXPECT_EQ(fresh, (std::vector<int>{4, 5, 8, 9}));
}

class SubHistoryTest : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(StepsCutOff, SubHistoryTest, testing::Values(0, 1, 3));

TEST_P(SubHistoryTest, KeepsTheCueWhereTheDecisionIs) {
  DemoEpisode episode = TinyEpisode(TinyConfig(), 60, 7, 1);
  episode.steps -= GetParam();  // an episode ends where it is done, seldom at a block's end
  episode.decision.resize(static_cast<size_t>(episode.steps));
  Rng rng(4);
  int decisions = 0, forgotten = 0;
  for (int i = 0; i < 200; ++i) {
    const SubHistory h =
        DrawSubHistory(episode, {.max_blocks = 16, .chunk_blocks = 2, .compress = true}, rng);
    EXPECT_LE(h.blocks.size(), 16U + 2U);
    EXPECT_TRUE(std::is_sorted(h.blocks.begin(), h.blocks.end()));
    if (h.blocks.back() >= 57) {
      ++decisions;
      const auto cue = std::find_if(h.decisions.begin(), h.decisions.end(),
                                    [](const ChunkDecision& d) { return d.chunk == 3; });
      ASSERT_NE(cue, h.decisions.end());
      EXPECT_EQ(h.holds_cue, cue->action != ChunkAction::kDropped);
      forgotten += h.holds_cue ? 0 : 1;
    }
  }
  EXPECT_GT(decisions, 50);
  EXPECT_GT(forgotten, 0);
  EXPECT_LT(forgotten, decisions / 2);
}

class GateTraining : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Find, GateTraining, testing::Values("each", "few"),
                         [](const auto& info) { return info.param; });

TEST_P(GateTraining, WritesAGateThatKeepsWhatHelps) {
  TinySource demos = Source(6), validation = Source(3);
  const TrainConfig train = Config("gate_policy_" + GetParam());
  ASSERT_TRUE(Train(train, demos, validation, {}).ok());
  GateTrainConfig config;
  config.checkpoint = train.out;
  config.out = (fs::path(testing::TempDir()) / (GetParam() + "_gate.safetensors")).string();
  config.find = GetParam();
  config.tail_blocks = 8;
  config.epochs = 5;
  config.episodes = 4;
  config.validation_episodes = 3;
  config.threads = 1;
  config.useful_drop = -100.0;  // every old chunk counts: the wiring is under test, not the policy
  const Status status = TrainGate(config, demos, validation, {});
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_TRUE(LoadGate(config.out).ok());
  EXPECT_TRUE(fs::exists(config.out + ".csv"));
  EXPECT_TRUE(fs::exists(config.out + ".json"));
  std::ifstream table(config.out + ".labels.csv");
  std::string line;
  ASSERT_TRUE(std::getline(table, line));
  EXPECT_EQ(line, "episode,target,chunk,saw_cue,loss_drop,useful,logit");
  int rows = 0, cues = 0;
  for (; std::getline(table, line); ++rows) {
    EXPECT_EQ(std::count(line.begin(), line.end(), ','), 6) << line;
    cues += line.find(",1,1,") != std::string::npos ? 1 : 0;  // chunk 1 holds block 3, the cue
  }
  EXPECT_GT(rows, 10);
  EXPECT_EQ(cues, 3);  // one an episode
}

}  // namespace
}  // namespace kvla

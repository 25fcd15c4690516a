// SPDX-License-Identifier: Apache-2.0
#include "policy/compact/training/train.h"

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "kv_efficient/methods/learned/chunk_gate.h"
#include "policy/compact/checkpoint.h"
#include "policy/compact/gate/gate_training.h"
#include "policy/compact/text/text_encoder_files.h"
#include "policy/compact/vla.h"
#include "tensors/safetensors.h"
#include "tensors/torch.h"
#include "tests/policy/loaded_vla.h"
#include "tests/policy/tiny_policy.h"

namespace kvla {
namespace {

namespace fs = std::filesystem;

TinySource Source(int episodes) {
  std::vector<DemoEpisode> list;
  for (int i = 0; i < episodes; ++i) {
    list.push_back(TinyEpisode(TinyConfig(), 18 + i % 3, 3, i % 3));
  }
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
  config.history = "by_cues";
  config.compression_share = 0.5;
  config.unsure_weight = config.order_weight = 0.5;
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

// Expects that `config` is refused, with each of `parts` in the message, and the weights unchanged.
void ExpectRefused(const TrainConfig& config, TinySource demos,
                   const std::vector<std::string>& parts) {
  TinySource validation = Source(3);
  const auto before = Weights(config.out);
  const Status status = Train(config, demos, validation, {});
  EXPECT_EQ(status.code(), StatusCode::kBadInput);
  for (const std::string& part : parts) {
    EXPECT_NE(status.message().find(part), std::string::npos) << status.message();
  }
  for (const auto& [name, tensor] : Weights(config.out)) {
    EXPECT_TRUE(torch::equal(tensor, before.at(name))) << name;
  }
}

TEST(Train, GoesOnUnderTheSameSettingsAlone) {
  TinySource demos = Source(6), validation = Source(3);
  const TrainConfig first = Config("same_settings");
  ASSERT_TRUE(Train(first, demos, validation, {}).ok());

  TrainConfig other = first;
  other.seed = 9;
  other.learning_rate = 0.5;
  ExpectRefused(other, Source(6),
                {first.out + " holds another training:", "seed is '0' in that training, '9' now",
                 "learning_rate is '0.001' in that training, '0.5' now"});
  other = first;
  other.steps = 3;
  ExpectRefused(other, Source(6), {"steps is '6' in that training, '3' now"});
  other = first;
  other.policy.hidden_size *= 2;
  ExpectRefused(other, Source(6), {"policy.hidden_size is "});
  ExpectRefused(first, Source(5), {"then 6 demonstrations", "now 5 demonstrations"});
  // Without its state it is not gone on with, but neither is it overwritten.
  fs::rename(fs::path(first.out) / "state", fs::path(first.out) / "put_by");
  other = first;
  other.seed = 9;
  ExpectRefused(other, Source(6), {"seed is "});
  fs::rename(fs::path(first.out) / "put_by", fs::path(first.out) / "state");

  // More steps, and what changes nothing of what is learnt.
  TrainConfig more = first;
  more.steps = 8;
  more.threads = 2;
  more.validate_every = 4;
  more.checkpoint_every = 2;
  more.half_file = true;
  more.demos = "moved";
  std::vector<int> steps;
  std::vector<std::string> notes;
  TrainHooks hooks;
  hooks.on_progress = [&](const TrainProgress& p) { steps.push_back(p.step); };
  hooks.on_note = [&](const std::string& note) { notes.push_back(note); };
  const Status status = Train(more, demos, validation, hooks);
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(steps, (std::vector<int>{7, 8}));
  EXPECT_TRUE(notes.empty());
  // A finished one says that it is.
  ASSERT_TRUE(Train(more, demos, validation, hooks).ok());
  EXPECT_EQ(steps.size(), 2U);
  ASSERT_EQ(notes.size(), 1U);
  EXPECT_NE(notes[0].find("is finished: 8 steps"), std::string::npos) << notes[0];
}

TEST(Train, WeightsOfAnotherOriginAreNotOverwritten) {
  TinySource demos = Source(6), validation = Source(3);
  const TrainConfig config = Config("other_origin");
  TensorFile file;
  file.tensors["x"] = torch::ones({2});
  fs::create_directories(config.out);
  ASSERT_TRUE(WriteSafetensors(fs::path(config.out) / "model.safetensors", file).ok());
  ExpectRefused(config, Source(6), {"does not say with which settings it was made"});
  // A state alone could be of any training.
  const TrainConfig trained = Config("state_alone");
  ASSERT_TRUE(Train(trained, demos, validation, {}).ok());
  fs::remove(fs::path(trained.out) / "model.safetensors");
  const Status status = Train(trained, demos, validation, {});
  EXPECT_EQ(status.code(), StatusCode::kBadInput);
  EXPECT_NE(status.message().find("remove " + trained.out + "/state"), std::string::npos)
      << status.message();
}

TEST(Train, TheStateOfAPolicyOfAnotherSizeIsBadInput) {
  TinySource demos = Source(6), validation = Source(3);
  const TrainConfig small = Config("state_small");
  TrainConfig large = Config("state_large");
  large.policy.hidden_size *= 2;
  large.steps = 7;
  ASSERT_TRUE(Train(small, demos, validation, {}).ok());
  ASSERT_TRUE(Train(large, demos, validation, {}).ok());
  fs::copy(fs::path(small.out) / "state", fs::path(large.out) / "state",
           fs::copy_options::recursive | fs::copy_options::overwrite_existing);
  large.steps = 9;
  ExpectRefused(large, Source(6), {"the state of a policy of another size"});
}

TEST(Train, TwoAtATimeAreRefused) {
  TinySource demos = Source(6), validation = Source(3);
  const TrainConfig config = Config("two_at_a_time");
  Status second;
  TrainHooks hooks;
  hooks.on_progress = [&](const TrainProgress&) {
    TinySource more = Source(6), held_out = Source(3);
    second = Train(config, more, held_out, {});
  };
  ASSERT_TRUE(Train(config, demos, validation, hooks).ok());
  EXPECT_EQ(second.code(), StatusCode::kBadInput);
  EXPECT_NE(second.message().find("another kvla process is writing to"), std::string::npos)
      << second.message();
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
  SessionOptions session;
  session.cache.window_blocks = config.policy.window_blocks;
  session.cache.chunk_blocks = config.policy.chunk_blocks;
  Result<LoadedVla> vla = LoadVla(options, session);
  ASSERT_TRUE(vla.ok()) << vla.status().message();
  const DemoEpisode episode = TinyEpisode(TinyConfig(), 14, 3, 0);
  const size_t bytes = size_t{3} * 32 * 32;
  const auto first_move = [&](const std::string& instruction) {
    EXPECT_TRUE(vla->BeginEpisode({.instruction = instruction}).ok());
    FrameInput input;
    for (const auto& camera : episode.images) input.images.emplace_back(camera.data(), bytes);
    input.proprio = episode.proprio[0];
    const Result<Inference> inference = vla->Infer(input);
    EXPECT_TRUE(inference.ok()) << inference.status().message();
    return inference->targets[0][1];
  };
  EXPECT_EQ(vla->policy->config().instruction_tokens, 4);
  EXPECT_GT(first_move("move the arm to the left"), 0.03F);
  EXPECT_LT(first_move("go right and press"), -0.03F);
  EXPECT_EQ(vla->session->instruction_tokens(), 4);
}

TEST(Train, ATargetWithoutALogitIsBadInput) {
  TinySource demos = Source(3), validation = Source(3);
  TrainConfig config = Config("classes");
  config.policy.num_target_classes = 2;
  const Status status = Train(config, demos, validation, {});
  EXPECT_EQ(status.code(), StatusCode::kBadInput);
  EXPECT_NE(status.message().find("num_target_classes"), std::string::npos) << status.message();
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
    if (name.starts_with("model.") || name.starts_with("image_encoders.0.trunk.")) {
      EXPECT_TRUE(same(name)) << name;
    }
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

TEST(Train, WhatStaysAsItIsMayComeFromAnotherPolicy) {
  TinySource demos = Source(6), validation = Source(3);
  const TrainConfig first = Config("frozen_first");
  ASSERT_TRUE(Train(first, demos, validation, {}).ok());
  TrainConfig config = Config("frozen_second");
  config.learns = "decoder";
  EXPECT_EQ(Train(config, demos, validation, {}).code(), StatusCode::kBadInput);  // as where?
  config.warm_from = first.out;
  config.policy.vocabulary.clear();
  EXPECT_EQ(Train(config, demos, validation, {}).code(), StatusCode::kBadInput);
  config.policy.vocabulary = {"press", "the"};
  config.policy.num_target_classes = 5;
  Status status = Train(config, demos, validation, {});
  ASSERT_TRUE(status.ok()) << status.message();
  const auto before = Weights(first.out), after = Weights(config.out);
  for (const auto& [name, tensor] : before) {
    if (!IsEncoder(name)) continue;
    EXPECT_TRUE(torch::equal(after.at(name), tensor)) << name;
  }
  EXPECT_FALSE(torch::equal(after.at("model.layers.0.self_attn.q_proj.weight"),
                            before.at("model.layers.0.self_attn.q_proj.weight")));
  config.out = Config("frozen_third").out;
  config.warm_parts = {"model"};
  status = Train(config, demos, validation, {});
  EXPECT_EQ(status.code(), StatusCode::kBadInput);
  EXPECT_NE(status.message().find("stays as it is"), std::string::npos) << status.message();
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

TEST(Train, DemonstrationsOfOtherSizesAreRefused) {
  PolicyConfig larger = TinyConfig();
  larger.image_size = 64;
  TinySource demos = Source(3), other({TinyEpisode(larger, 18, 3, 1)});
  const TrainConfig config = Config("other_sizes");
  EXPECT_EQ(Train(config, other, demos, {}).code(), StatusCode::kBadInput);
  EXPECT_EQ(Train(config, demos, other, {}).code(), StatusCode::kBadInput);
  ASSERT_TRUE(Train(config, demos, demos, {}).ok());
  TrainConfig heads = Config("other_sizes_heads");
  heads.init_from = config.out;
  heads.learns = "heads";
  EXPECT_EQ(Train(heads, other, demos, {}).code(), StatusCode::kBadInput);
  GateTrainConfig gate;
  gate.checkpoint = config.out;
  gate.out = (fs::path(testing::TempDir()) / "other_sizes.safetensors").string();
  EXPECT_EQ(TrainGate(gate, other, demos, {}).code(), StatusCode::kBadInput);
}

class GateTraining : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Find, GateTraining, testing::Values("each", "few", "pairs"),
                         [](const auto& info) { return info.param; });

TEST_P(GateTraining, WritesAGateThatKeepsWhatHelps) {
  TinySource demos = Source(6), validation = Source(3);
  const TrainConfig train = Config("gate_policy_" + GetParam());
  ASSERT_TRUE(Train(train, demos, validation, {}).ok());
  GateTrainConfig config;
  config.checkpoint = train.out;
  config.out = (fs::path(testing::TempDir()) / (GetParam() + "_gate.safetensors")).string();
  fs::remove(config.out);
  config.find = GetParam();
  config.epochs = 5;
  config.episodes = 4;
  config.validation_episodes = 3;
  config.threads = 1;
  config.teacher = "everything";
  config.storage = "int8";
  config.useful_drop = -100.0;  // every old chunk counts: the wiring is under test, not the policy
  const Status status = TrainGate(config, demos, validation, {});
  ASSERT_TRUE(status.ok()) << status.message();
  const Status fits = CheckGatePolicy(config.out, train.out);
  EXPECT_TRUE(fits.ok()) << fits.message();
  const Result<LoadedGate> gate = LoadGate(config.out);
  ASSERT_TRUE(gate.ok()) << gate.status().message();
  EXPECT_EQ(gate->metadata.at("keep"), "compressed");
  EXPECT_EQ(gate->metadata.at("storage"), "int8");
  EXPECT_TRUE(fs::exists(config.out + ".csv"));
  std::ifstream text(config.out + ".json");
  const nlohmann::json report = nlohmann::json::parse(text);
  EXPECT_EQ(report["cues"]["all"]["cue_chunks"], 3);  // one an episode
  EXPECT_EQ(report["cues"]["by_value"].size(), 3u) << report["cues"];
  EXPECT_EQ(report["cues"]["by_onset"][0]["from_s"], 3 * 0.2);
  EXPECT_EQ(report["agreement"]["episodes"], 3);
  EXPECT_GT(report["cpu_minutes"]["all"], report["cpu_minutes"]["labels"]);
  std::ifstream table(config.out + ".labels.csv");
  std::string line;
  ASSERT_TRUE(std::getline(table, line));
  EXPECT_EQ(line,
            "episode,task,target,onset_block,chunk,saw_cue,loss_drop,useful,counts,action_change,"
            "logit");
  int rows = 0, cues = 0;
  for (; std::getline(table, line); ++rows) {
    EXPECT_EQ(std::count(line.begin(), line.end(), ','), 10) << line;
    cues += line.find(",3,1,1,") != std::string::npos ? 1 : 0;  // chunk 1 holds block 3, the cue
  }
  EXPECT_GT(rows, 10);
  EXPECT_EQ(cues, 3);  // one an episode

  // It is not overwritten by one of other settings, nor is what is no gate.
  config.epochs = 1;
  const Status other = TrainGate(config, demos, validation, {});
  EXPECT_EQ(other.code(), StatusCode::kBadInput);
  EXPECT_NE(other.message().find("epochs is '5' in that gate, '1' now"), std::string::npos)
      << other.message();
  config.epochs = 5;
  EXPECT_TRUE(TrainGate(config, demos, validation, {}).ok());
  config.out = (fs::path(train.out) / "model.safetensors").string();
  EXPECT_EQ(TrainGate(config, demos, validation, {}).code(), StatusCode::kBadInput);
}

}  // namespace
}  // namespace kvla

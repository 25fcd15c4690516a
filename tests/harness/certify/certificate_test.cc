// SPDX-License-Identifier: Apache-2.0
#include "harness/certify/certificate.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "tasks/task_list.h"
#include "tests/scratch_dir.h"

namespace kvla {
namespace {

using nlohmann::json;

// 100 episodes of each kind, a quarter of the blind ones and of the probe's guesses right.
Certificate Good(const std::string& task) {
  Certificate c{.task = task,
                .delay = "short",
                .suite = {},
                .chance = 0.25,
                .episodes = {},
                .probe = {},
                .rules = {}};
  c.episodes = {.episodes = 100, .expert_success = 97, .blind_decided = 480, .blind_right = 120};
  c.probe = ProbeResult{.classes = 4,
                        .chance = 0.26,
                        .held_out = 400,
                        .right = 100,
                        .window_held_out = 400,
                        .window_right = 100,
                        .cue_held_out = 9};
  c.rules = RuleCheck{.episodes = 400, .chunks = 1, .of_chunks = 46, .expected = 0.02, .rules = {}};
  c.rules->rules = {
      {.rule = "band", .keeps = "chunk 7", .held = 3, .episodes = 200, .judgement = {}}};
  c.rules->rules[0].judgement.verdict = Verdict::kCertified;
  return c;
}

TEST(Certificate, PassesWhereEveryBarIsMet) {
  EXPECT_TRUE(Good("a").Passes());
  Certificate c = Good("a");
  c.episodes.expert_success = 94;
  EXPECT_FALSE(c.Passes());
  c = Good("a");
  c.episodes.errors = 1;
  EXPECT_FALSE(c.Passes());
  c = Good("a");
  c.episodes.blind_right = 160;  // 33%, its upper bound is 38
  EXPECT_FALSE(c.Passes());
  c.needs_memory = false;
  EXPECT_TRUE(c.Passes());
  c = Good("a");
  c.probe->right = 140;
  EXPECT_FALSE(c.Passes());
  c = Good("a");
  c.probe->window_right = 140;
  EXPECT_FALSE(c.Passes());
  c = Good("a");
  c.rules->rules[0].judgement = {.more = 9};
  EXPECT_FALSE(c.Passes());
  c = Good("a");
  c.episodes.blind_decided = 0;
  EXPECT_FALSE(c.Passes());
}

TEST(Certificate, HasThreeVerdicts) {
  EXPECT_EQ(Good("a").Whole().verdict, Verdict::kCertified);
  EXPECT_NE(Good("a").Line().find("certified"), std::string::npos);
  Certificate c = Good("a");
  c.episodes.blind_right = 150;  // 31%, the interval spans 35
  c.rules->rules[0].judgement = {.more = 900};
  EXPECT_EQ(c.Whole().verdict, Verdict::kCannotTell);
  EXPECT_EQ(c.Whole().more, 900);
  EXPECT_NE(c.Line().find("band: cannot tell (900 more episodes)"), std::string::npos) << c.Line();
  EXPECT_EQ(c.Line().find("REFUTED"), std::string::npos) << c.Line();
  c.episodes.expert_success = 92;
  EXPECT_EQ(c.Whole().verdict, Verdict::kCannotTell);
  c.episodes.expert_success = 80;
  EXPECT_EQ(c.Whole().verdict, Verdict::kRefuted);
  EXPECT_NE(c.Line().find("expert: REFUTED"), std::string::npos) << c.Line();
  c = Good("a");
  c.episodes.errors = 1;
  EXPECT_EQ(c.Whole().verdict, Verdict::kRefuted);
  c = Good("a");
  c.episodes.blind_right = 240;
  EXPECT_EQ(c.Whole().verdict, Verdict::kRefuted);
}

TEST(Certificate, ControlsNeedNeitherCueNorProbe) {
  Result<std::unique_ptr<Task>> task = MakeTask("pick_place", KVLA_ASSET_ROOT);
  ASSERT_TRUE(task.ok());
  CertifySettings settings;
  settings.episodes.episodes = 2;
  settings.probe = ProbeOptions();
  settings.rules = RuleOptions();
  std::vector<std::string> shown;
  const auto delay = (*task)->info().delays.front();
  const Result<Certificate> c =
      MakeCertificate(**task, delay, settings, [&](const std::string& what, int, int) {
        shown.push_back(what);
        return true;
      });
  ASSERT_TRUE(c.ok()) << c.status().message();
  EXPECT_EQ(c->episodes.expert_success, 2);
  EXPECT_EQ(c->episodes.blind_episodes, 0);
  EXPECT_FALSE(c->probe);
  EXPECT_FALSE(c->rules);
  EXPECT_TRUE(c->Passes());
  ASSERT_FALSE(shown.empty());
  EXPECT_EQ(shown.back(), "pick_place " + delay);
  const Result<Certificate> cancelled =
      MakeCertificate(**task, delay, settings, [](const std::string&, int, int) { return false; });
  EXPECT_EQ(cancelled.status().code(), StatusCode::kCancelled);
}

TEST(Certificate, NamesTheSuite) {
  Certificate c = Good("a");
  EXPECT_EQ(c.Line().find("cues"), std::string::npos) << c.Line();
  c.suite.decoys = true;
  EXPECT_NE(c.Line().find("(cues early, decoys true, layout seen)"), std::string::npos) << c.Line();
  CertifySettings settings;
  settings.suite = c.suite;
  CertificateFile file = *CertificateFile::Open({}, settings);
  ASSERT_TRUE(file.Add(c).ok());
  const json all = json::parse(file.Text());
  EXPECT_EQ(all["tasks"][0]["suite"]["decoys"], "true");
  EXPECT_EQ(all["suite"]["decoys"], "true");
}

TEST(CertificateFile, IsGoneOnWith) {
  const ScratchDir dir;
  const auto path = dir.path() / "certificates.json";
  CertifySettings settings;
  settings.probe = ProbeOptions();
  Result<CertificateFile> first = CertificateFile::Open(path, settings);
  ASSERT_TRUE(first.ok()) << first.status().message();
  ASSERT_TRUE(first->Add(Good("a")).ok());
  Certificate bad = Good("b");
  bad.episodes.expert_success = 0;
  ASSERT_TRUE(first->Add(bad).ok());
  EXPECT_FALSE(first->AllPassed());

  const std::string text = first->Text();
  // Not by two at a time: each would write what it knows alone.
  EXPECT_NE(CertificateFile::Open(path, settings).status().message().find("another kvla process"),
            std::string::npos);
  first = CertificateFile::Open({}, settings);
  Result<CertificateFile> second = CertificateFile::Open(path, settings);
  ASSERT_TRUE(second.ok()) << second.status().message();
  EXPECT_EQ(second->size(), 2U);
  EXPECT_TRUE(second->Has("a", "short"));
  EXPECT_FALSE(second->Has("a", "long"));
  EXPECT_FALSE(second->AllPassed());
  EXPECT_EQ(second->Text(), text);
  const json all = json::parse(*ReadFile(path));
  EXPECT_EQ(all["tasks"][0]["task"], "a");
  EXPECT_EQ(all["tasks"][0]["expert"]["rate"], 0.97);
  EXPECT_EQ(all["tasks"][1]["passed"], false);
  EXPECT_EQ(all["tasks"][0]["verdict"], "certified");
  for (const char* part : {"expert", "blind", "probe", "probe_window"}) {
    EXPECT_EQ(all["tasks"][0][part]["verdict"], "certified") << part;
  }
  EXPECT_EQ(all["tasks"][0]["rules"]["rules"][0]["keeps"], "chunk 7");
  EXPECT_EQ(all["tasks"][1]["verdict"], "refuted");
  EXPECT_EQ(all["tasks"][1]["expert"]["verdict"], "refuted");
}

TEST(CertificateFile, OfOtherSettingsOrNoneAtAllIsRefusedAndLeftAlone) {
  const ScratchDir dir;
  const auto path = dir.path() / "certificates.json";
  CertifySettings settings;
  ASSERT_TRUE(CertificateFile::Open(path, settings)->Add(Good("a")).ok());
  const std::string before = *ReadFile(path);
  settings.episodes.run_seed = 3;
  Result<CertificateFile> other = CertificateFile::Open(path, settings);
  ASSERT_FALSE(other.ok());
  EXPECT_EQ(other.status().code(), StatusCode::kBadInput);
  EXPECT_NE(other.status().message().find("seed is '0' in the file, '3' now"), std::string::npos)
      << other.status().message();
  settings.episodes.run_seed = 0;
  settings.suite.cues = "anywhere";
  other = CertificateFile::Open(path, settings);
  EXPECT_NE(other.status().message().find("suite.cues is 'early' in the file, 'anywhere' now"),
            std::string::npos)
      << other.status().message();
  settings.suite = {};
  settings.probe = ProbeOptions();
  EXPECT_FALSE(CertificateFile::Open(path, settings).ok());
  EXPECT_EQ(*ReadFile(path), before);
  for (const std::string text : {"", "{}", "[1]", R"({"tasks": 3})", "no JSON"}) {
    std::ofstream(path, std::ios::trunc) << text;
    EXPECT_EQ(CertificateFile::Open(path, settings).status().code(), StatusCode::kBadInput) << text;
  }
}

}  // namespace
}  // namespace kvla

// SPDX-License-Identifier: Apache-2.0
// What a person types: numbers of every option, unknown words, help, keys of configs, completion.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <regex>
#include <sstream>

#include "tests/apps/program.h"

namespace kvla {
namespace {

using Words = std::vector<std::string>;

Words And(Words words, const Words& more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

// The subcommands that the help of `path` lists; empty where it has none.
Words SubcommandsOf(const Words& path) {
  std::istringstream help(Kvla(And({"help"}, path)).out);
  Words names;
  bool there = false;
  for (std::string line; std::getline(help, line);) {
    if (line == "Subcommands:") {
      there = true;
    } else if (there && line.starts_with("  ") && line.size() > 2 && line[2] != ' ') {
      names.push_back(line.substr(2, line.find(' ', 2) - 2));
    }
  }
  return names;
}

std::vector<Words> EverySubcommand() {
  std::vector<Words> all;
  for (const std::string& name : SubcommandsOf({})) {
    all.push_back({name});
    for (const std::string& below : SubcommandsOf({name})) all.push_back({name, below});
  }
  return all;
}

struct NumericOption {
  Words command;
  std::string flag, type;
};

// From the help texts, so that an option that is added tomorrow is in it.
std::vector<NumericOption> NumericOptions() {
  std::vector<NumericOption> options;
  const std::regex line_of_one("^  (?:-[A-Za-z],)?(--[a-z-]+)[^ ]* (UINT|INT|FLOAT)");
  for (const Words& command : EverySubcommand()) {
    std::istringstream help(Kvla(And({"help"}, command)).out);
    for (std::string line; std::getline(help, line);) {
      std::smatch match;
      if (std::regex_search(line, match, line_of_one)) {
        options.push_back({command, match[1], match[2]});
      }
    }
  }
  return options;
}

TEST(CommandLineTest, EveryNumericOptionReadsDecimalAndNothingElse) {
  const std::vector<NumericOption> options = NumericOptions();
  std::set<std::string> seen;
  for (const NumericOption& option : options) {
    std::string name;
    for (const std::string& word : option.command) name += word + " ";
    seen.insert(name + option.flag);
    Words bad = {"0x10", " 5", "nan"};
    if (option.type != "FLOAT") bad.insert(bad.end(), {"1e2", "99999999999999999999"});
    if (option.type == "UINT") bad.emplace_back("-1");
    for (const std::string& text : bad) {
      const Output output = Kvla(And(option.command, {option.flag, text}));
      EXPECT_EQ(output.status, 2) << name << option.flag << " '" << text << "'";
      const bool said = output.err.find("decimal") != std::string::npos ||
                        output.err.find("too large or too small") != std::string::npos;
      EXPECT_TRUE(said) << name << option.flag << " '" << text << "': " << output.err;
    }
    // Far out of every range, and zero-padded: the range is said of the decimal number.
    const Output output = Kvla(And(option.command, {option.flag, "-0010"}));
    EXPECT_EQ(output.err.find("-0010 not in"), std::string::npos) << output.err;
  }
  for (const char* one :
       {"certify --seed", "certify --episodes", "certify --blind-episodes", "certify --probe-train",
        "compare --pairs", "compare --margin", "report --videos", "bench env --size",
        "bench physics --seconds", "eval --workers", "demos --workers"}) {
    EXPECT_TRUE(seen.contains(one)) << one;
  }
}

TEST(CommandLineTest, ALeadingZeroChangesNothing) {
  const Output output = Kvla(
      {"certify", "pick_place", "--episodes", "02", "--seed", "010", "--delay", "short", "--json"});
  const auto json = nlohmann::json::parse(output.out, nullptr, false);
  ASSERT_TRUE(json.is_object()) << output.err;
  EXPECT_EQ(json["settings"]["seed"], 10) << output.out;
  EXPECT_EQ(json["settings"]["episodes"], 2) << output.out;
}

TEST(CommandLineTest, AShardIsTwoDecimalNumbers) {
  ScratchDir scratch;
  CopyCheckpoint(scratch / "checkpoint");
  WriteText(scratch / "run.yaml", RunYaml(scratch / "checkpoint", 10));
  const auto eval = [&](const std::string& shard) {
    return Kvla({"eval", (scratch / "run.yaml").string(), "--out", (scratch / "out").string(),
                 "--check", "--shard", shard});
  };
  EXPECT_EQ(eval("08/010").status, 0) << eval("08/010").err;
  for (const char* bad : {"0x1/2", "1/2x", "1", "/", "1/", "/2", " 1/2", "1/ 2", "-1/2", "0/2",
                          "3/2", "1/0", "1/99999999999", "4294967297/4294967298"}) {
    EXPECT_EQ(eval(bad).status, 2) << bad;
    EXPECT_NE(eval(bad).err.find("--shard"), std::string::npos) << eval(bad).err;
  }
}

TEST(CommandLineTest, AnUnknownWordIsNamedWithTheNearest) {
  const std::vector<std::pair<Words, std::string>> wrong = {
      {{"evl"}, "kvla has no subcommand 'evl'"},
      {{"evl"}, "did you mean 'eval'?"},
      {{"eval", "--worker", "2"}, "kvla eval has no flag '--worker'; did you mean '--workers'?"},
      {{"report", "x", "--vidoes=3"},
       "kvla report has no flag '--vidoes=3'; did you mean '--videos'?"},
      {{"bench", "evn"},
       "kvla bench has no subcommand 'evn', only env, physics, "
       "inference, attention, gate, compact, episodes, backbones"},
      {{"list", "tasks", "more"}, "kvla list: 'more' is one argument too many"},
      {{"help", "evl"}, "did you mean 'eval'?"},
      {{"e\x1b[2Jvl"}, "'e\\x1b[2Jvl'"}};
  for (const auto& [words, message] : wrong) {
    const Output output = Kvla(words);
    EXPECT_EQ(output.status, 2);
    EXPECT_EQ(output.out, "");
    EXPECT_NE(output.err.find(message), std::string::npos) << output.err;
    EXPECT_EQ(output.err.find('\x1b'), std::string::npos);
  }
}

TEST(CommandLineTest, HelpIsTheSameByEveryName) {
  for (const Words& command : EverySubcommand()) {
    const Output by_flag = Kvla(And(command, {"--help"}));
    const Output by_name = Kvla(And({"help"}, command));
    EXPECT_EQ(by_flag.status, 0);
    EXPECT_EQ(by_name.status, 0);
    const auto body = [](const std::string& text) { return text.substr(text.find("Usage")); };
    // The usage line begins with the program's path or name.
    EXPECT_EQ(body(by_flag.out).substr(body(by_flag.out).find('\n')),
              body(by_name.out).substr(body(by_name.out).find('\n')));
  }
  EXPECT_NE(Kvla({"help"}).out.find("train-gate"), std::string::npos);
  EXPECT_EQ(Kvla({"-V"}).out, Kvla({"--version"}).out);
  EXPECT_EQ(Kvla({"-V"}).status, 0);
}

TEST(ConfigCommandTest, PrintsEveryKeyOfEveryKind) {
  const Output kinds = Kvla({"config", "--json"});
  const auto json = nlohmann::json::parse(kinds.out, nullptr, false);
  ASSERT_EQ(json["kinds"].size(), 12u) << kinds.out;
  for (const std::string kind : json["kinds"]) {
    const Output text = Kvla({"config", kind});
    const Output rows = Kvla({"config", kind, "--json"});
    EXPECT_EQ(text.status, 0) << text.err;
    const auto printed = nlohmann::json::parse(rows.out, nullptr, false);
    ASSERT_FALSE(printed["rows"].empty()) << rows.out;
    for (const auto& row : printed["rows"]) {
      EXPECT_NE(text.out.find(row["help"].get<std::string>()), std::string::npos) << row;
    }
  }
  // What is printed is a config: all that a run lacks are its tasks and arms.
  ScratchDir scratch;
  WriteText(scratch / "run.yaml", Kvla({"config", "eval"}).out);
  const Output run =
      Kvla({"eval", (scratch / "run.yaml").string(), "--out", (scratch / "out").string()});
  EXPECT_NE(run.err.find("'checkpoint' is empty"), std::string::npos) << run.err;
}

TEST(ConfigCommandTest, PrintsSingleKeys) {
  const Output keys = Kvla({"config", "eval", "episodes", "cache.threshold"});
  EXPECT_EQ(keys.status, 0) << keys.err;
  EXPECT_NE(keys.out.find("episodes (int, 1 to 100000; default 20): "), std::string::npos);
  EXPECT_NE(keys.out.find("arms[].cache.threshold (number, 0 to 1"), std::string::npos) << keys.out;
  const Output wrong = Kvla({"config", "eval", "episods"});
  EXPECT_EQ(wrong.status, 2);
  EXPECT_NE(wrong.err.find("did you mean 'episodes'?"), std::string::npos) << wrong.err;
  EXPECT_NE(Kvla({"config", "evl"}).err.find("did you mean 'eval'?"), std::string::npos);
}

// What bash would offer for the last of the words.
std::set<std::string> Completed(const Words& words) {
  ScratchDir scratch;
  WriteText(scratch / "completion", Kvla({"completion", "bash"}).out);
  std::string line = "source " + (scratch / "completion").string() + "; COMP_WORDS=(kvla";
  for (const std::string& word : words) line += " '" + word + "'";
  line += "); COMP_CWORD=" + std::to_string(words.size()) +
          "; _kvla; printf '%s\\n' \"${COMPREPLY[@]}\" >" + (scratch / "out").string();
  EXPECT_EQ(
      std::system(("bash -c '" + std::regex_replace(line, std::regex("'"), "'\\''") + "'").c_str()),
      0);
  std::istringstream out(ReadText(scratch / "out"));
  std::set<std::string> offered;
  for (std::string word; std::getline(out, word);) offered.insert(word);
  return offered;
}

TEST(CompletionTest, BashCompletesSubcommandsFlagsAndNames) {
  using Set = std::set<std::string>;
  EXPECT_EQ(Completed({"tr"}), (Set{"train", "train-gate", "train-write-gate", "transplant"}));
  EXPECT_EQ(Completed({"eval", "--wo"}), (Set{"--workers"}));
  EXPECT_EQ(Completed({"--assets", "eval", "report", "--vid"}), (Set{"--videos"}));
  EXPECT_EQ(Completed({"bench", "env", "--si"}), (Set{"--size"}));
  EXPECT_EQ(Completed({"bench", ""}), (Set{"env", "physics", "inference", "attention", "gate",
                                           "compact", "episodes", "backbones"}));
  EXPECT_EQ(Completed({"certify", "recall"}), (Set{"recall_color"}));
  EXPECT_EQ(Completed({"certify", "--delay", "l"}), (Set{"long", "longer"}));
  EXPECT_EQ(Completed({"help", "mer"}), (Set{"merge"}));
  EXPECT_FALSE(Completed({""}).contains("worker"));
}

}  // namespace
}  // namespace kvla

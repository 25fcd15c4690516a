// SPDX-License-Identifier: Apache-2.0
// `kvla doctor` from outside, as a person runs it.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/scratch_dir.h"

namespace kvla {
namespace {

struct Output {
  int status = -1;
  std::string text;
};

Output RunProgram(const std::string& arguments) {
  Output out;
  FILE* pipe = popen((std::string(KVLA_PROGRAM) + " " + arguments + " 2>&1").c_str(), "r");
  if (pipe == nullptr) return out;
  char buffer[4096];
  for (size_t n = 0; (n = fread(buffer, 1, sizeof(buffer), pipe)) > 0;) out.text.append(buffer, n);
  const int status = pclose(pipe);
  out.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return out;
}

TEST(DoctorTest, SaysWhatThereIsAndWhatIsMissing) {
  const Output out = RunProgram("doctor --json");
  const nlohmann::json json = nlohmann::json::parse(out.text, nullptr, false);
  ASSERT_FALSE(json.is_discarded()) << out.text;
  for (const char* key : {"kvla", "mujoco", "torch", "sqlite", "hdf5", "cpu", "disk", "gpu",
                          "gl renderer", "tasks", "text", "missing"}) {
    EXPECT_TRUE(json.contains(key)) << key << " is not in " << out.text;
  }
  EXPECT_EQ(json["mujoco"], "4.0.0");
  EXPECT_EQ(out.status, json["missing"].empty() ? 0 : 2);
}

TEST(DoctorTest, TextAndJsonAgree) {
  const Output text = RunProgram("doctor");
  const Output json = RunProgram("doctor --json");
  EXPECT_EQ(text.status, json.status);
  EXPECT_NE(text.text.find("gl renderer"), std::string::npos) << text.text;
  EXPECT_NE(text.text.find("\nmissing "), std::string::npos) << text.text;
}

TEST(DoctorTest, LooksIntoTheFolderThatItIsGiven) {
  const ScratchDir empty;
  const Output out = RunProgram("--assets " + empty.path().string() + " doctor");
  EXPECT_EQ(out.status, 2) << out.text;
  for (const char* thing :
       {"the scene ", "weights: no .safetensors under ", "the sentence encoder: "}) {
    EXPECT_NE(out.text.find(std::string("missing      ") + thing), std::string::npos) << out.text;
  }
  EXPECT_EQ(out.text.find(KVLA_ASSET_ROOT), std::string::npos) << out.text;
}

TEST(DoctorTest, AnUnknownOptionIsBadInput) {
  EXPECT_EQ(RunProgram("doctor --jsn").status, 2);
  EXPECT_EQ(RunProgram("docter").status, 2);
}

}  // namespace
}  // namespace kvla

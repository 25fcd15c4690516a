// SPDX-License-Identifier: Apache-2.0
// An installed program needs neither the source tree nor the build folder, and may be moved.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>

#include "tests/apps/program.h"

namespace kvla {
namespace {

namespace fs = std::filesystem;

// Exit status of a shell command without this process's environment.
int Shell(const std::string& command) {
  const int status = std::system(("env -i PATH=/usr/bin:/bin sh -c '" + command + "'").c_str());
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// Gigabytes are not copied: the libraries and files are linked, the program is not.
TEST(InstallTest, RunsAfterItWasMoved) {
  ScratchDir scratch;
  const std::string first = (scratch / "first").string(), moved = (scratch / "moved").string();
  const std::string install = std::string(KVLA_CMAKE) + " --install " + KVLA_BUILD + " --prefix " +
                              first + " >/dev/null --component ";
  ASSERT_EQ(Shell(install + "program"), 0);
  ASSERT_EQ(Shell("CMAKE_INSTALL_MODE=ABS_SYMLINK " + install + "data"), 0);
  fs::rename(first, moved);
  const std::string kvla = "cd /; " + moved + "/bin/kvla ";
  const std::string out = (scratch / "out").string();
  EXPECT_EQ(Shell(kvla + "--version >/dev/null"), 0);
  EXPECT_EQ(Shell(kvla + "list policies >" + out), 0);
  EXPECT_NE(ReadText(out).find("policy/weights/suite"), std::string::npos) << ReadText(out);
  Shell(kvla + "doctor >" + out);
  const std::string findings = ReadText(out);
  for (const char* thing : {"missing      task", "missing      the scene", "missing      weights",
                            "missing      the sentence encoder"}) {
    EXPECT_EQ(findings.find(thing), std::string::npos) << findings;
  }
  EXPECT_EQ(Shell(kvla + "config eval >/dev/null"), 0);
  for (const char* file : {"share/kvla/plotly.min.js", "share/kvla/results/report/html/index.html",
                           "share/kvla/configs/quickstart.yaml", "lib/kvla/libmujoco.so.4.0.0"}) {
    EXPECT_TRUE(fs::exists(fs::path(moved) / file)) << file;
  }
  // Its libraries are looked for beside it, and not where it was built.
  const std::string program = ReadText(moved + "/bin/kvla");
  EXPECT_NE(program.find("$ORIGIN/../lib/kvla"), std::string::npos);
  EXPECT_EQ(program.find(std::string(KVLA_BUILD) + "/cuda_stubs"), std::string::npos);
}

}  // namespace
}  // namespace kvla

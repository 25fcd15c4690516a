// SPDX-License-Identifier: Apache-2.0
// `kvla doctor`: what this machine and this build have, and what is missing.
#include <fmt/format.h>
#include <hdf5.h>
#include <mujoco/mujoco.h>
#include <sqlite3.h>
#include <sys/statvfs.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "apps/commands.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/json_text.h"
#include "base/machine.h"
#include "base/streams.h"
#include "base/text.h"
#include "base/version.h"
#include "policy/compact/text/text_encoder_files.h"
#include "sim/renderer.h"
#include "tasks/task_list.h"
#include "tensors/torch_version.h"

namespace kvla {
namespace {

namespace fs = std::filesystem;

constexpr double kGigabyte = 1e9;
constexpr double kNeededDiskGb = 2;

struct Finding {
  std::string name;
  std::string value;
};

struct Diagnosis {
  std::vector<Finding> findings;
  std::vector<std::string> missing;  // What kvla cannot do without, and what to do about it.

  void Say(std::string name, std::string value) {
    findings.push_back({std::move(name), std::move(value)});
  }
};

void CheckDisk(const fs::path& root, Diagnosis* diagnosis) {
  struct statvfs disk {};
  if (statvfs(root.c_str(), &disk) != 0) {
    diagnosis->missing.push_back(fmt::format("the asset folder {}", root.string()));
    return;
  }
  const double free = static_cast<double>(disk.f_bavail) * disk.f_frsize / kGigabyte;
  const double total = static_cast<double>(disk.f_blocks) * disk.f_frsize / kGigabyte;
  diagnosis->Say("disk", fmt::format("{:.1f} GB free of {:.1f} GB", free, total));
  if (free < kNeededDiskGb) {
    diagnosis->missing.push_back(
        fmt::format("free disk space: {:.1f} GB, and runs need {:.0f} GB", free, kNeededDiskGb));
  }
}

void CheckMachine(Diagnosis* diagnosis) {
  const MachineFacts facts = ReadMachineFacts();
  diagnosis->Say("os", facts.os);
  diagnosis->Say("cpu", facts.CpuLine());
  diagnosis->Say("memory", fmt::format("{:.1f} GB", facts.memory_bytes / kGigabyte));
  const int usable = TorchCudaDevices();
  std::string gpu = "none";
  if (!facts.nvidia_driver.empty()) {
    gpu = fmt::format("driver {}", facts.nvidia_driver);
    for (const std::string& model : facts.gpus) gpu += ", " + model;
  }
  gpu += fmt::format("; usable by this build: {}", usable);
  if (!facts.nvidia_driver.empty() && usable == 0) {
    gpu += " (the preset 'cuda' builds for it)";
  }
  diagnosis->Say("gpu", gpu);
}

// Opens a GL context on the smallest model there is.
void CheckGl(Diagnosis* diagnosis) {
  char error[512] = "";
  std::unique_ptr<mjSpec, void (*)(mjSpec*)> spec(
      mj_parseXMLString("<mujoco><worldbody><geom size='1'/></worldbody></mujoco>", nullptr, error,
                        sizeof(error)),
      mj_deleteSpec);
  std::unique_ptr<mjModel, void (*)(mjModel*)> model(
      spec == nullptr ? nullptr : mj_compile(spec.get(), nullptr), mj_deleteModel);
  if (model == nullptr) {
    diagnosis->missing.push_back(fmt::format("a working MuJoCo: {}", error));
    return;
  }
  auto renderer = Renderer::Create(model.get(), 64, 64);
  if (!renderer.ok()) {
    diagnosis->missing.push_back(
        fmt::format("off-screen rendering: {} (Debian's packages: libegl-mesa0 libgl1-mesa-dri)",
                    renderer.status().message()));
    return;
  }
  diagnosis->Say("gl renderer",
                 (*renderer)->gl_renderer() + ((*renderer)->software() ? " (software)" : ""));
}

void SayVersions(Diagnosis* diagnosis) {
  unsigned major = 0;
  unsigned minor = 0;
  unsigned release = 0;
  H5get_libversion(&major, &minor, &release);
  diagnosis->Say("kvla", fmt::format("{} (commit {})", Version(), GitCommit()));
  diagnosis->Say("mujoco", mj_versionString());
  diagnosis->Say("torch", TorchVersion());
  diagnosis->Say("sqlite", sqlite3_libversion());
  diagnosis->Say("hdf5", fmt::format("{}.{}.{}", major, minor, release));
#ifdef KVLA_WITH_VIEWER
  diagnosis->Say("viewer", "built in");
#else
  diagnosis->Say("viewer", "left out of this build (the preset 'release' has it)");
#endif
}

void CheckTasks(const fs::path& root, Diagnosis* diagnosis) {
  std::string names;
  for (const std::string& name : TaskNames()) {
    auto task = MakeTask(name, root);
    if (!task.ok()) {
      diagnosis->missing.push_back(fmt::format("task {}: {}", name, task.status().message()));
    } else if (!IsFile((*task)->scene())) {
      diagnosis->missing.push_back(fmt::format("the scene {}", (*task)->scene().string()));
    } else {
      names += (names.empty() ? "" : ", ") + name;
    }
  }
  diagnosis->Say("tasks", names);
}

// Policies with `text: minilm` read instructions with it.
void CheckTextEncoder(const fs::path& root, Diagnosis* diagnosis) {
  const fs::path folder = TextEncoderFolder(root);
  if (Status status = CheckTextEncoderFiles(folder); !status.ok()) {
    diagnosis->missing.push_back("the sentence encoder: " + status.message());
    return;
  }
  std::error_code error;
  diagnosis->Say("text", fmt::format("{} {:.1f} MB, as published", kTextEncoderName,
                                     fs::file_size(folder / kTextWeightsFile, error) / 1e6));
}

void CheckWeights(const fs::path& root, Diagnosis* diagnosis) {
  const fs::path folder = root / "policy" / "weights";
  std::vector<fs::path> files;
  std::error_code error;
  for (auto at = fs::recursive_directory_iterator(folder, error);
       !error && at != fs::recursive_directory_iterator(); at.increment(error)) {
    if (at->is_regular_file(error) && at->path().extension() == ".safetensors") {
      files.push_back(at->path());
    }
  }
  std::sort(files.begin(), files.end());
  for (const fs::path& file : files) {
    auto hash = HashFileHex(file);
    const std::string name = fs::relative(file, root, error).string();
    if (!hash.ok()) {
      diagnosis->missing.push_back(fmt::format("{}: {}", name, hash.status().message()));
      continue;
    }
    diagnosis->Say("weights", fmt::format("{} {:.1f} MB xxh64 {}", name,
                                          fs::file_size(file, error) / 1e6, *hash));
  }
  if (files.empty()) {
    diagnosis->missing.push_back(fmt::format(
        "weights: no .safetensors under {} (`kvla train` makes them)", folder.string()));
  }
}

nlohmann::json ToJson(const Diagnosis& diagnosis) {
  nlohmann::json out;
  for (const Finding& finding : diagnosis.findings) {
    if (finding.name == "weights") {
      out["weights"].push_back(finding.value);
    } else {
      out[finding.name] = finding.value;
    }
  }
  out["missing"] = diagnosis.missing;
  return out;
}

}  // namespace

CLI::App* AddDoctor(CLI::App& parent, const AppContext& context, int* exit_code) {
  CLI::App* command = parent.add_subcommand(
      "doctor", "Say what this machine and this build have; exit status 2 if something is missing");
  auto json = std::make_shared<bool>(false);
  command->add_flag("--json", *json, "Print one JSON object");
  command->callback([json, &context, exit_code] {
    const fs::path& root = context.asset_root;  // known once --assets was read
    Diagnosis diagnosis;
    SayVersions(&diagnosis);
    CheckMachine(&diagnosis);
    CheckDisk(root, &diagnosis);
    CheckGl(&diagnosis);
    CheckTasks(root, &diagnosis);
    CheckTextEncoder(root, &diagnosis);
    CheckWeights(root, &diagnosis);
    if (*json) {
      Print("{}\n", JsonText(ToJson(diagnosis), 2));
    } else {
      for (const Finding& finding : diagnosis.findings) {
        Print("{:<12} {}\n", finding.name, Printable(finding.value));
      }
      if (diagnosis.missing.empty()) Print("{:<12} nothing\n", "missing");
      for (const std::string& thing : diagnosis.missing) {
        Print("{:<12} {}\n", "missing", Printable(thing));
      }
    }
    *exit_code = diagnosis.missing.empty() ? kExitDone : kExitBadInput;
  });
  return command;
}

}  // namespace kvla

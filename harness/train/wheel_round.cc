// SPDX-License-Identifier: Apache-2.0
#include "harness/train/wheel_round.h"

#include <fmt/format.h>

#include "base/config_differences.h"
#include "base/config_io.h"
#include "base/files.h"
#include "policy/compact/checkpoint_hash.h"

namespace kvla {
namespace {

constexpr char kNoteFile[] = "round.yaml";

// What the folder says of itself.
struct RoundNote {
  std::string driver_hash;
  bool complete = false;
  DemosConfig demos;

  template <class V>
  void Fields(V& v) {
    v("driver_hash", driver_hash, "hash of the policy at the wheel");
    v("complete", complete, "whether all is recorded");
    v("demos", demos, "with which settings");
  }
};

}  // namespace

DemosConfig DriverRound::Wanted(const DemosConfig& like) const {
  DemosConfig wanted = like;
  wanted.name = name_;
  wanted.episodes_per_shard = DemosConfig().episodes_per_shard;
  static_cast<DriverShare&>(wanted.driver) = round_;
  wanted.driver.checkpoint = driver_;
  wanted.sets = round_.sets;
  return wanted;
}

Result<DriverRound::Found> DriverRound::Look() const {
  const std::filesystem::path file = folder_ / kNoteFile;
  if (!Exists(file)) return Found{};
  RoundNote note;
  if (Status s = LoadConfigFile(file, {}, &note); !s.ok()) return s;
  DemosConfig wanted = Wanted(note.demos);
  wanted.driver.checkpoint = note.demos.driver.checkpoint;  // by its hash
  const std::string before = PrintConfig(note.demos), now = PrintConfig(wanted);
  if (before != now) {
    return BadInput(fmt::format(
        "{} holds another round at the wheel:\n  {}\nGive another out, or the settings "
        "of that round.",
        folder_.string(), ListDifferences(ConfigDifferences(before, now, "that round"))));
  }
  const Result<std::string> hash = CheckpointHash(driver_);
  if (!hash.ok()) return hash.status();
  if (*hash != note.driver_hash) {
    return BadInput(fmt::format(
        "{} was recorded with other weights at the wheel: {}, those of {} are {}\nGive another "
        "out, or remove it.",
        folder_.string(), note.driver_hash, driver_, *hash));
  }
  return Found{.begun = true, .done = note.complete};
}

Status DriverRound::Record(const DemosConfig& like, DemosOptions options) const {
  const Result<std::string> hash = CheckpointHash(driver_);
  if (!hash.ok()) return hash.status();
  RoundNote note{*hash, false, Wanted(like)};
  std::error_code error;
  std::filesystem::create_directories(folder_, error);
  const auto keep = [&] { return WriteFileAtomic(folder_ / kNoteFile, PrintConfig(note)); };
  if (Status s = keep(); !s.ok()) return s;
  options.out = folder_;
  const Result<DemosSummary> summary = GenerateDemos(note.demos, options);
  if (!summary.ok()) return summary.status();
  note.complete = true;
  return keep();
}

}  // namespace kvla

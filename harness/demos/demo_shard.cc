// SPDX-License-Identifier: Apache-2.0
#include "harness/demos/demo_shard.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/config_differences.h"
#include "base/config_io.h"
#include "base/split_names.h"
#include "harness/demos/demo_layout.h"
#include "sim/specs.h"

namespace kvla {
namespace {

// Runs writes one after the other until one fails.
class Writes {
 public:
  explicit Writes(Hdf5Node* node) : node_(node) {}
  template <class T>
  Writes& Set(const std::string& name, const std::vector<T>& values, std::vector<int64_t> shape,
              int gzip = 0) {
    if (status_.ok()) status_ = node_->Write(name, std::span<const T>(values), shape, gzip);
    return *this;
  }
  Writes& Text(const std::string& name, const std::string& text) {
    if (status_.ok()) status_ = node_->SetText(name, text);
    return *this;
  }
  Writes& Integer(const std::string& name, int64_t value) {
    if (status_.ok()) status_ = node_->SetInteger(name, value);
    return *this;
  }
  Writes& Reals(const std::string& name, const std::vector<double>& values) {
    if (status_.ok()) status_ = node_->SetReals(name, values);
    return *this;
  }
  // Attributes 'KIND_begin_s' and 'KIND_end_s'.
  Writes& Intervals(const std::string& kind, const std::vector<CueInterval>& intervals) {
    std::vector<double> begins, ends;
    for (const CueInterval& x : intervals) {
      begins.push_back(x.begin_s);
      ends.push_back(x.end_s);
    }
    return Reals(kind + "_begin_s", begins).Reals(kind + "_end_s", ends);
  }
  const Status& status() const { return status_; }

 private:
  Hdf5Node* node_;
  Status status_;
};

std::string EnvArgs(const DemosConfig& config, const std::string& task) {
  return nlohmann::json{{"env_name", task},
                        {"type", "kvla"},
                        {"env_kwargs",
                         {{"control_freq", kControlRateHz},
                          {"camera_names", config.cameras},
                          {"camera_heights", config.image_size},
                          {"camera_widths", config.image_size},
                          {"controller", "OSC_POSE"}}}}
      .dump();
}

// What an episode is, and when in it something happens.
void WriteFacts(const DemoRecording& r, int replan_steps, const std::string& model_file,
                Writes* writes) {
  std::vector<double> places;
  std::vector<CueInterval> decoys;
  for (const std::array<double, 3>& place : r.scenario.target_places) {
    places.insert(places.end(), place.begin(), place.end());
  }
  for (const Decoy& decoy : r.scenario.decoys) {
    decoys.push_back({decoy.begin * kControlPeriod, decoy.end * kControlPeriod});
  }
  writes->Integer("num_samples", r.steps)
      .Integer("num_inferences", r.inferences)
      .Integer("image_stride", replan_steps)
      .Text("model_file", model_file)
      .Text("instruction", r.scenario.instruction)
      .Text("task", r.scenario.task)
      .Text("delay", r.scenario.delay)
      .Text("split", SplitName(r.scenario.split))
      .Integer("seed", static_cast<int64_t>(r.scenario.run_seed))
      .Integer("episode", static_cast<int64_t>(r.scenario.episode))
      .Integer("target", r.scenario.target)
      .Integer("choices", r.choices)
      .Reals("target_places", places)  // [classes * 3], world metres
      .Intervals("cue", r.scenario.cues)
      .Intervals("decoy", decoys)
      .Reals("onset_s", {r.scenario.OnsetSeconds()})
      .Reals("wait_s", {r.scenario.WaitSeconds()})
      .Reals("decision_s", {r.scenario.decision_s})
      .Text("cues", r.options.cues)
      .Integer("decoys", r.options.decoys ? 1 : 0)
      .Text("layout", r.options.layout)
      .Text("disturbance", DisturbanceName(r.disturbance));
}

}  // namespace

std::string ShardSettings(const DemosConfig& config) {
  DemosConfig settings = config;
  settings.sets.clear();
  settings.name = "";
  settings.episodes_per_shard = 1;  // how episodes are spread over files changes none of them
  return PrintConfig(settings);
}

bool IsKept(const DemoRecording& recording, const DemosConfig& config) {
  const bool driven = !config.driver.checkpoint.empty();
  return !recording.diverged && (recording.success || (driven && config.driver.keep_failed));
}

Result<ShardWriter> ShardWriter::Create(const DemosConfig& config, const DemoShard& shard,
                                        const std::filesystem::path& asset_root) {
  std::filesystem::path temporary = shard.path;
  temporary += ".tmp";
  Result<Hdf5Node> file = Hdf5Node::CreateFile(temporary);
  if (!file.ok()) return file.status();
  Result<Hdf5Node> data = file->CreateGroup("data");
  if (!data.ok()) return data.status();
  ShardWriter writer(*std::move(file), *std::move(data));
  writer.config_ = config;
  writer.shard_ = shard;
  writer.asset_root_ = asset_root;
  writer.temporary_ = std::move(temporary);
  return writer;
}

Status ShardWriter::Add(const DemoRecording& r) {
  if (!IsKept(r, config_)) {
    ++(r.diverged ? diverged_ : failed_);
    return {};
  }
  Result<Hdf5Node> group = data_.CreateGroup(fmt::format("demo_{}", demos_));
  if (!group.ok()) return group.status();
  const int64_t n = r.steps;
  const int gzip = config_.gzip;
  std::vector<float> rewards(static_cast<size_t>(n), 0.0f);
  std::vector<uint8_t> dones(static_cast<size_t>(n), 0);
  rewards.back() = r.success ? 1.0f : 0.0f;
  dones.back() = 1;
  Writes writes(&*group);
  writes.Set("actions", r.actions, {n, kActionDim})
      .Set("executed", r.executed, {n, kActionDim})
      .Set("targets", r.targets, {n, kActionDim})
      .Set("states", r.states, {n, r.state_size}, gzip)
      .Set("rewards", rewards, {n})
      .Set("dones", dones, {n})
      .Set("obs/ee_pos", r.ee_pos, {n, 3})
      .Set("obs/ee_quat", r.ee_quat, {n, 4})
      .Set("obs/gripper_width", r.gripper_width, {n})
      .Set("obs/joint_pos", r.joint_pos, {n, 7})
      .Set("labels/waypoint", r.waypoints, {n, 3})
      .Set("labels/target_class", r.target_class, {n})
      .Set("labels/decision", r.decision, {n});
  for (size_t c = 0; c < r.cameras.size(); ++c) {
    writes.Set("obs/" + r.cameras[c] + "_image", r.images[c],
               {r.inferences, config_.image_size, config_.image_size, 3}, gzip);
  }
  WriteFacts(r, config_.replan_steps, r.scene.lexically_relative(asset_root_).string(), &writes);
  if (!writes.status().ok()) return writes.status();
  ++demos_;
  samples_ += n;
  return {};
}

Status ShardWriter::Finish() {
  const std::string settings = ShardSettings(config_);
  const DemoSet& set = config_.sets[static_cast<size_t>(shard_.set)];
  Writes writes(&data_);
  writes.Integer("total", samples_)
      .Integer("num_demos", demos_)
      .Integer("failed", failed_)
      .Integer("diverged", diverged_)
      .Integer("first", static_cast<int64_t>(shard_.first))
      .Integer("count", shard_.count)
      .Text("env_args", EnvArgs(config_, set.task))
      .Text("suite", PrintConfig(config_.suite))
      .Text("disturbance", set.disturbance)
      .Text("settings", settings)
      .Text("settings_hash", HashHex(settings))
      .Integer("complete", 1);
  if (!writes.status().ok()) return writes.status();
  if (Status status = file_.Flush(); !status.ok()) return status;
  // Both must be closed before the name appears: an open HDF5 file is marked as such.
  { const Hdf5Node closing_data = std::move(data_); }
  { const Hdf5Node closing_file = std::move(file_); }
  const int fd = open(temporary_.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd >= 0) {
    fsync(fd);
    close(fd);
  }
  std::error_code error;
  std::filesystem::rename(temporary_, shard_.path, error);
  if (error) {
    return IoError(fmt::format("{}: cannot be renamed: {}", temporary_.string(), error.message()));
  }
  return {};
}

Result<int64_t> ShardWriter::Bytes() {
  if (Status status = file_.Flush(); !status.ok()) return status;
  std::error_code error;
  const auto size = std::filesystem::file_size(temporary_, error);
  if (error) return IoError(fmt::format("{}: {}", temporary_.string(), error.message()));
  return static_cast<int64_t>(size);
}

void ShardWriter::Abandon() {
  std::error_code ignored;
  std::filesystem::remove(temporary_, ignored);
}

Result<bool> ShardComplete(const DemosConfig& config, const DemoShard& shard) {
  std::error_code error;
  if (!std::filesystem::exists(shard.path, error)) return false;
  Result<Hdf5Node> file = Hdf5Node::OpenFile(shard.path);
  if (!file.ok()) return file.status();
  Result<Hdf5Node> data = file->OpenGroup("data");
  if (!data.ok()) return data.status();
  const Result<int64_t> complete = data->Integer("complete");
  if (!complete.ok()) return complete.status();
  const Result<std::string> hash = data->Text("settings_hash");
  if (!hash.ok()) return hash.status();
  const Result<int64_t> count = data->Integer("count");
  if (!count.ok()) return count.status();
  if (*hash != HashHex(ShardSettings(config))) {
    const Result<std::string> was = data->Text("settings");
    if (!was.ok()) return was.status();
    const std::vector<std::string> differences =
        ConfigDifferences(*was, ShardSettings(config), "the file");
    return BadInput(fmt::format("{}: made with other settings:\n  {}\nGive another --out.",
                                shard.path.string(), ListDifferences(differences)));
  }
  const Result<ShardFacts> facts = ReadShardFacts(*data);
  if (!facts.ok()) return facts.status();
  const std::string& wanted = config.sets[static_cast<size_t>(shard.set)].disturbance;
  if (facts->disturbance != wanted) {
    return BadInput(
        fmt::format("{}: recorded with disturbance '{}', '{}' is wanted; give the set "
                    "another 'first', or another --out",
                    shard.path.string(), facts->disturbance, wanted));
  }
  for (int d = 0; d < facts->demos; ++d) {
    const Result<Hdf5Node> demo = data->OpenGroup(fmt::format("demo_{}", d));
    if (!demo.ok()) return demo.status();
    const Result<DemoSizes> sizes = ReadDemoSizes(*demo);
    if (!sizes.ok()) return sizes.status();
    if (Status s = CheckDemoDatasets(*demo, *facts, *sizes); !s.ok()) return s;
  }
  return *count >= shard.count;
}

Status CheckOverlaps(const std::vector<DemoShard>& planned) {
  // Files of one task, delay and split differ in the digits at their end only.
  const auto set_of = [](const std::filesystem::path& path) {
    const std::string name = path.string();
    return name.substr(0, name.rfind('_'));
  };
  std::map<std::string, std::vector<const DemoShard*>> sets;
  for (const DemoShard& shard : planned) sets[set_of(shard.path)].push_back(&shard);
  for (const auto& [set, shards] : sets) {
    std::error_code error;
    const std::filesystem::path folder = shards.front()->path.parent_path();
    for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
      const std::filesystem::path& path = entry.path();
      if (path.extension() != ".hdf5" || set_of(path) != set) continue;
      Result<Hdf5Node> file = Hdf5Node::OpenFile(path);
      if (!file.ok()) return file.status();
      Result<Hdf5Node> data = file->OpenGroup("data");
      if (!data.ok()) return data.status();
      const Result<int64_t> first = data->Integer("first");
      if (!first.ok()) return first.status();
      const Result<int64_t> count = data->Integer("count");
      if (!count.ok()) return count.status();
      constexpr int64_t kMost = int64_t{1} << 40;
      if (*first < 0 || *first > kMost || *count < 0 || *count > kMost) {
        return BadInput(fmt::format("{}: attributes 'first' {} and 'count' {} are no episodes",
                                    path.string(), *first, *count));
      }
      for (const DemoShard* shard : shards) {
        const auto begin = static_cast<int64_t>(shard->first);
        if (path == shard->path || *first >= begin + shard->count || *count <= begin - *first) {
          continue;
        }
        return BadInput(fmt::format(
            "{}: holds episodes {} to {}, and {} is to hold {} to {}: an episode would be recorded "
            "twice; keep episodes_per_shard as it was, or give another --out",
            path.string(), *first, *first + *count - 1, shard->path.filename().string(), begin,
            begin + shard->count - 1));
      }
    }
  }
  return {};
}

}  // namespace kvla

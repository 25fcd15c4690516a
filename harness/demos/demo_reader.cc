// SPDX-License-Identifier: Apache-2.0
#include "harness/demos/demo_reader.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "base/config_differences.h"
#include "base/config_io.h"
#include "harness/episode/policy_io.h"
#include "sim/specs.h"

namespace kvla {
namespace {

constexpr double kMaxCueS = 1e6;  // far beyond any episode, so that blocks fit an int

template <class T, size_t N>
std::vector<std::array<T, N>> Rows(const std::vector<T>& flat) {
  std::vector<std::array<T, N>> rows(flat.size() / N);
  for (size_t i = 0; i < rows.size(); ++i) {
    std::copy_n(flat.begin() + static_cast<ptrdiff_t>(i * N), N, rows[i].begin());
  }
  return rows;
}

// Reads datasets and attributes until one fails.
class Reads {
 public:
  explicit Reads(const Hdf5Node& node) : node_(node) {}
  // A dataset of this shape. Reals must be finite.
  template <class T>
  std::vector<T> Get(const std::string& name, const std::vector<int64_t>& shape) {
    std::vector<T> values;
    if (status_.ok()) status_ = node_.Read(name, shape, &values);
    if constexpr (std::is_floating_point_v<T>) {
      const auto bad =
          std::ranges::find_if(values, [](T x) { return !std::isfinite(static_cast<float>(x)); });
      if (status_.ok() && bad != values.end()) {
        const size_t row = static_cast<size_t>(bad - values.begin()) / (values.size() / shape[0]);
        status_ =
            Bad(fmt::format("dataset '{}' has {} in row {}, it must be finite", name, *bad, row));
      }
    }
    return values;
  }
  std::string Text(const std::string& name) { return Take(node_.Text(name)); }
  int64_t Integer(const std::string& name) { return Take(node_.Integer(name)); }
  std::vector<double> Reals(const std::string& name) { return Take(node_.Reals(name)); }
  // Of attributes 'KIND_begin_s' and 'KIND_end_s'.
  std::vector<CueInterval> Intervals(const std::string& kind) {
    const std::vector<double> begins = Reals(kind + "_begin_s"), ends = Reals(kind + "_end_s");
    std::vector<CueInterval> intervals;
    for (size_t i = 0; i < std::min(begins.size(), ends.size()); ++i) {
      intervals.push_back({begins[i], ends[i]});
    }
    // Written so that NaN is refused too.
    const bool in_time = std::ranges::all_of(intervals, [](const CueInterval& x) {
      return x.begin_s >= 0 && x.end_s >= x.begin_s && x.end_s <= kMaxCueS;
    });
    if (begins.size() != ends.size() || !in_time) {
      Refuse(fmt::format(
          "attributes '{0}_begin_s' and '{0}_end_s' must be the begins and ends of {0}s, seconds",
          kind));
    }
    return intervals;
  }
  void Refuse(const std::string& what) {
    if (status_.ok()) status_ = Bad(what);
  }
  const Status& status() const { return status_; }

 private:
  template <class T>
  T Take(Result<T> result) {
    if (result.ok()) return *std::move(result);
    if (status_.ok()) status_ = result.status();
    return T{};
  }
  Status Bad(const std::string& what) const {
    const Result<int64_t> episode = node_.Integer("episode");
    return BadInput(fmt::format("{} (episode {}): {}", node_.where(),
                                episode.ok() ? std::to_string(*episode) : "unknown", what));
  }

  const Hdf5Node& node_;
  Status status_;
};

// Whether a shard has what the policy wants.
Status CheckFilter(const ShardFacts& facts, const DemoFilter& filter, const std::string& file) {
  for (const std::string& camera : filter.cameras) {
    if (std::ranges::find(facts.cameras, camera) != facts.cameras.end()) continue;
    return BadInput(fmt::format("{}: recorded without the policy's camera '{}'; it has {}", file,
                                camera, fmt::join(facts.cameras, ", ")));
  }
  const int side = filter.image_size;
  if (side == 0 || (facts.height == side && facts.width == side)) return {};
  return BadInput(fmt::format("{}: images of {}x{} pixels, the policy's image_size is {}", file,
                              facts.width, facts.height, side));
}

}  // namespace

DemoFilter FilterFor(const PolicyConfig& policy) {
  return {.tasks = {},
          .cameras = policy.cameras,
          .image_size = policy.image_size,
          .replan_steps = policy.replan_steps};
}

Result<DemoFilter> FilterFor(const std::filesystem::path& checkpoint) {
  PolicyConfig policy;
  if (Status s = LoadConfigFile(checkpoint / "config.yaml", {}, &policy); !s.ok()) return s;
  return FilterFor(policy);
}

Result<std::unique_ptr<DemoReader>> DemoReader::Open(
    const std::vector<std::filesystem::path>& folders, const DemoFilter& filter) {
  std::unique_ptr<DemoReader> reader(new DemoReader);
  for (const std::filesystem::path& folder : folders) {
    if (Status status = reader->AddFolder(folder); !status.ok()) return status;
  }
  Seen seen;
  for (size_t f = 0; f < reader->files_.size(); ++f) {
    if (Status status = reader->AddShard(f, filter, &seen); !status.ok()) return status;
  }
  reader->open_.resize(reader->files_.size());
  if (reader->entries_.empty()) {
    return BadInput(fmt::format("{}: no demonstrations{} there", folders.front().string(),
                                filter.tasks.empty() ? "" : " of the wanted tasks"));
  }
  return reader;
}

Status DemoReader::AddFolder(const std::filesystem::path& folder) {
  std::error_code error;
  if (!std::filesystem::is_directory(folder, error)) {
    return BadInput(fmt::format("{}: no such folder of demonstrations (make them with kvla demos)",
                                folder.string()));
  }
  const auto first = static_cast<ptrdiff_t>(files_.size());
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    if (entry.path().extension() == ".hdf5") files_.push_back(entry.path());
  }
  if (error) return BadInput(fmt::format("{}: {}", folder.string(), error.message()));
  std::sort(files_.begin() + first, files_.end());
  return {};
}

Result<DemosConfig> DemoReader::Settings() const {
  const Result<Hdf5Node> file = Hdf5Node::OpenFile(files_.front());
  if (!file.ok()) return file.status();
  const Result<Hdf5Node> data = file->OpenGroup("data");
  if (!data.ok()) return data.status();
  const Result<std::string> text = data->Text("settings");
  if (!text.ok()) return text.status();
  const Result<ConfigNode> node = ParseYaml(*text, "attribute 'settings'", false);
  if (!node.ok()) return node.status().In(data->where());
  DemosConfig settings;
  if (Status s = ParseConfig(*node, &settings); !s.ok()) return s.In(data->where());
  return settings;
}

Status DemoReader::AddShard(size_t f, const DemoFilter& filter, Seen* seen) {
  Result<Hdf5Node> file = Hdf5Node::OpenFile(files_[f]);
  if (!file.ok()) return file.status();
  Result<Hdf5Node> data = file->OpenGroup("data");
  if (!data.ok()) return data.status();
  Result<ShardFacts> facts = ReadShardFacts(*data);
  if (!facts.ok()) return facts.status();
  facts_.push_back(*std::move(facts));
  ShardFacts& shard = facts_.back();
  if (!filter.tasks.empty() &&
      std::find(filter.tasks.begin(), filter.tasks.end(), shard.task) == filter.tasks.end()) {
    return {};
  }
  if (Status s = CheckFilter(shard, filter, files_[f].string()); !s.ok()) return s;
  const TaskOptions& suite = facts_.front().suite;
  if (shard.suite != suite) {
    return BadInput(
        fmt::format("{}: recorded for another suite than {}:\n  {}\nTrain on one of them.",
                    files_[f].string(), files_.front().string(),
                    ListDifferences(ConfigDifferences(PrintConfig(suite), PrintConfig(shard.suite),
                                                      "that file"))));
  }
  if (!filter.cameras.empty()) shard.cameras = filter.cameras;
  std::string settings;
  if (data->HasAttribute("settings_hash")) {
    const Result<std::string> hash = data->Text("settings_hash");
    if (!hash.ok()) return hash.status();
    settings = *hash;
  }
  for (int d = 0; d < shard.demos; ++d) {
    const Result<Hdf5Node> demo = data->OpenGroup(fmt::format("demo_{}", d));
    if (!demo.ok()) return demo.status();
    const Result<DemoSizes> sizes = ReadDemoSizes(*demo);
    if (!sizes.ok()) return sizes.status();
    if (filter.replan_steps != 0 && sizes->stride != filter.replan_steps) {
      return BadInput(
          fmt::format("{}: an image every {} control steps, the policy's replan_steps is {}",
                      demo->where(), sizes->stride, filter.replan_steps));
    }
    if (Status s = CheckDemoDatasets(*demo, shard, *sizes); !s.ok()) return s;
    Reads reads(*demo);
    const std::string episode = fmt::format("{} of {} {}", reads.Integer("episode"),
                                            reads.Text("task"), reads.Text("delay"));
    if (!reads.status().ok()) return reads.status();
    entries_.push_back({f, d});
    if (settings.empty()) continue;
    const auto [first, is_new] = seen->emplace(settings + " " + episode, demo->where());
    if (!is_new) {
      return BadInput(
          fmt::format("{}: episode {} is there twice, also in {}; remove one of the files",
                      demo->where(), episode, first->second));
    }
  }
  return {};
}

Result<Hdf5Node> DemoReader::Group(int index) {
  const Entry& entry = entries_[static_cast<size_t>(index)];
  std::optional<Hdf5Node>& file = open_[entry.file];
  if (!file) {
    Result<Hdf5Node> opened = Hdf5Node::OpenFile(files_[entry.file]);
    if (!opened.ok()) return opened.status();
    file = *std::move(opened);
  }
  return file->OpenGroup(fmt::format("data/demo_{}", entry.demo));
}

// Sizes first: Open() has checked every dataset against them, so that reading is a list of names.
// What the file has by control step and the policy wants by inference is then picked out.
Result<DemoEpisode> DemoReader::Read(int index) {
  Result<Hdf5Node> group = Group(index);
  if (!group.ok()) return group.status();
  const Result<DemoSizes> sizes = ReadDemoSizes(*group);
  if (!sizes.ok()) return sizes.status();
  const ShardFacts& facts = facts_[entries_[static_cast<size_t>(index)].file];
  Reads reads(*group);
  DemoEpisode e;
  e.where = group->where();
  e.task = reads.Text("task");
  e.delay = reads.Text("delay");
  e.instruction = reads.Text("instruction");
  const int64_t episode = reads.Integer("episode");
  e.episode = static_cast<uint64_t>(episode);
  e.steps = sizes->steps;
  e.blocks = sizes->blocks;
  const int64_t n = e.steps;
  for (const std::string& camera : facts.cameras) {
    e.images.push_back(reads.Get<uint8_t>("obs/" + camera + "_image", ImageShape(facts, *sizes)));
  }
  (void)reads.Get<float>("actions", {n, kTargetDim});  // targets follow from them
  e.targets = Rows<float, kTargetDim>(reads.Get<float>("targets", {n, kTargetDim}));
  e.waypoints = Rows<float, 3>(reads.Get<float>("labels/waypoint", {n, 3}));
  e.target_class = reads.Get<int32_t>("labels/target_class", {n});
  e.decision = reads.Get<uint8_t>("labels/decision", {n});
  const auto ee_pos = Rows<double, 3>(reads.Get<double>("obs/ee_pos", {n, 3}));
  const auto ee_quat = Rows<double, 4>(reads.Get<double>("obs/ee_quat", {n, 4}));
  const std::vector<double> width = reads.Get<double>("obs/gripper_width", {n});
  const std::vector<CueInterval> cues = reads.Intervals("cue");
  // Older shards do not say when decoys were shown.
  const std::vector<CueInterval> decoys =
      group->HasAttribute("decoy_begin_s") ? reads.Intervals("decoy") : std::vector<CueInterval>();
  const std::vector<double> places = reads.Reals("target_places");
  // Older shards do not say from when on what is remembered is asked for.
  const std::vector<double> use =
      group->HasAttribute("decision_s") ? reads.Reals("decision_s") : std::vector<double>{-1};
  // Older shards: every class with a place is a choice.
  const int64_t choices = group->HasAttribute("choices") ? reads.Integer("choices")
                                                         : static_cast<int64_t>(places.size() / 3);
  if (episode < 0) reads.Refuse("attribute 'episode' is negative");
  if (choices < 0 || choices > INT32_MAX) {
    reads.Refuse(fmt::format("attribute 'choices' is {}, it must be 0 or more", choices));
  }
  e.choices = static_cast<int>(choices);
  if (std::ranges::any_of(e.target_class, [](int c) { return c < -1; })) {
    reads.Refuse("dataset 'labels/target_class' has a class below -1");
  }
  if (places.size() % 3 != 0 ||
      std::ranges::any_of(places, [](double x) { return std::isinf(static_cast<float>(x)); })) {
    reads.Refuse("attribute 'target_places' must be places of three numbers each");
  }
  if (use.size() != 1 || !(use[0] <= kMaxCueS)) {  // so that NaN is refused too
    reads.Refuse("attribute 'decision_s' must be one time, seconds");
  }
  if (!reads.status().ok()) return reads.status();
  if (use[0] >= 0) e.use_begins = static_cast<int>(std::ceil(use[0] * kControlRateHz - 1e-6));
  for (int b = 0; b < e.blocks; ++b) {
    const auto step = static_cast<size_t>(b * sizes->stride);
    e.proprio.push_back(ProprioVector(ee_pos[step], ee_quat[step], width[step]));
  }
  for (size_t i = 0; i < places.size(); i += 3) {
    e.target_places.push_back({static_cast<float>(places[i]), static_cast<float>(places[i + 1]),
                               static_cast<float>(places[i + 2])});
  }
  e.cue_blocks = CueBlocks(cues, sizes->stride, e.blocks);
  e.decoy_blocks = CueBlocks(decoys, sizes->stride, e.blocks);
  return e;
}

}  // namespace kvla

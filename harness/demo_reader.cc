#include "harness/demo_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "harness/policy_io.h"
#include "sim/specs.h"

namespace kvla {
namespace {

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
  template <class T>
  std::vector<T> Get(const std::string& name, size_t expected) {
    std::vector<T> values;
    if (status_.ok()) status_ = node_.Read(name, &values);
    if (status_.ok() && values.size() != expected) {
      status_ = BadInput(
          fmt::format("dataset '{}' has {} values, {} expected", name, values.size(), expected));
    }
    if (!status_.ok()) values.assign(expected, T{});
    return values;
  }
  std::string Text(const std::string& name) { return Take(node_.Text(name)); }
  int64_t Integer(const std::string& name) { return Take(node_.Integer(name)); }
  std::vector<double> Reals(const std::string& name) { return Take(node_.Reals(name)); }
  const Status& status() const { return status_; }

 private:
  template <class T>
  T Take(Result<T> result) {
    if (result.ok()) return *std::move(result);
    if (status_.ok()) status_ = result.status();
    return T{};
  }
  const Hdf5Node& node_;
  Status status_;
};

// The cameras of a shard, from its env_args.
Result<std::vector<std::string>> ShardCameras(const std::string& env_args,
                                              const std::filesystem::path& path) {
  const nlohmann::json json = nlohmann::json::parse(env_args, nullptr, false);
  std::vector<std::string> cameras;
  if (json.is_object() && json.contains("env_kwargs") && json["env_kwargs"].is_object()) {
    for (const auto& name : json["env_kwargs"].value("camera_names", nlohmann::json::array())) {
      if (name.is_string()) cameras.push_back(name.get<std::string>());
    }
  }
  if (cameras.empty()) {
    return BadInput(fmt::format("{}: 'env_args' names no cameras", path.string()));
  }
  return cameras;
}

}  // namespace

Result<std::unique_ptr<DemoReader>> DemoReader::Open(const std::filesystem::path& folder,
                                                     const DemoFilter& filter) {
  std::error_code error;
  if (!std::filesystem::is_directory(folder, error)) {
    return BadInput(fmt::format("{}: no such folder of demonstrations (make them with kvla demos)",
                                folder.string()));
  }
  std::unique_ptr<DemoReader> reader(new DemoReader);
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    if (entry.path().extension() == ".hdf5") reader->files_.push_back(entry.path());
  }
  std::sort(reader->files_.begin(), reader->files_.end());
  for (size_t f = 0; f < reader->files_.size(); ++f) {
    Result<Hdf5Node> file = Hdf5Node::OpenFile(reader->files_[f]);
    if (!file.ok()) return file.status();
    Result<Hdf5Node> data = file->OpenGroup("data");
    if (!data.ok()) return data.status();
    const Result<int64_t> count = data->Integer("num_demos");
    if (!count.ok()) return count.status();
    const Result<std::string> env_args = data->Text("env_args");
    if (!env_args.ok()) return env_args.status();
    Result<std::vector<std::string>> cameras = ShardCameras(*env_args, reader->files_[f]);
    if (!cameras.ok()) return cameras.status();
    reader->cameras_.push_back(filter.cameras.empty() ? *std::move(cameras) : filter.cameras);
    const std::string task = nlohmann::json::parse(*env_args, nullptr, false).value("env_name", "");
    if (!filter.tasks.empty() &&
        std::find(filter.tasks.begin(), filter.tasks.end(), task) == filter.tasks.end()) {
      continue;
    }
    for (int d = 0; d < *count; ++d) reader->entries_.push_back({f, d});
  }
  reader->open_.resize(reader->files_.size());
  if (reader->entries_.empty()) {
    return BadInput(fmt::format("{}: no demonstrations{} there", folder.string(),
                                filter.tasks.empty() ? "" : " of the wanted tasks"));
  }
  return reader;
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

Result<DemoEpisode> DemoReader::Read(int index) {
  Result<Hdf5Node> group = Group(index);
  if (!group.ok()) return group.status();
  Reads reads(*group);
  DemoEpisode e;
  e.task = reads.Text("task");
  e.delay = reads.Text("delay");
  e.instruction = reads.Text("instruction");
  e.episode = static_cast<uint64_t>(reads.Integer("episode"));
  e.steps = static_cast<int>(reads.Integer("num_samples"));
  e.blocks = static_cast<int>(reads.Integer("num_inferences"));
  const int stride = static_cast<int>(reads.Integer("image_stride"));
  if (!reads.status().ok()) return reads.status();
  const auto n = static_cast<size_t>(e.steps);
  if (stride < 1 || e.blocks != (e.steps + stride - 1) / stride) {
    return BadInput(fmt::format("{}: {} inferences for {} steps, one every {}",
                                files_[entries_[static_cast<size_t>(index)].file].string(),
                                e.blocks, e.steps, stride));
  }
  for (const std::string& camera : cameras_[entries_[static_cast<size_t>(index)].file]) {
    std::vector<uint8_t> images;
    if (Status status = group->Read("obs/" + camera + "_image", &images); !status.ok()) {
      return status;
    }
    e.images.push_back(std::move(images));
  }
  e.targets = Rows<float, kTargetDim>(reads.Get<float>("targets", n * kTargetDim));
  e.waypoints = Rows<float, 3>(reads.Get<float>("labels/waypoint", n * 3));
  e.target_class = reads.Get<int32_t>("labels/target_class", n);
  e.decision = reads.Get<uint8_t>("labels/decision", n);
  const auto ee_pos = Rows<double, 3>(reads.Get<double>("obs/ee_pos", n * 3));
  const auto ee_quat = Rows<double, 4>(reads.Get<double>("obs/ee_quat", n * 4));
  const std::vector<double> width = reads.Get<double>("obs/gripper_width", n);
  const std::vector<double> begins = reads.Reals("cue_begin_s");
  const std::vector<double> ends = reads.Reals("cue_end_s");
  const std::vector<double> places = reads.Reals("target_places");
  if (!reads.status().ok()) return reads.status();
  for (int b = 0; b < e.blocks; ++b) {
    const auto step = static_cast<size_t>(b * stride);
    e.proprio.push_back(ProprioVector(ee_pos[step], ee_quat[step], width[step]));
  }
  for (size_t i = 0; i + 2 < places.size(); i += 3) {
    e.target_places.push_back({static_cast<float>(places[i]), static_cast<float>(places[i + 1]),
                               static_cast<float>(places[i + 2])});
  }
  // Older shards: every class with a place is a choice.
  e.choices = static_cast<int>(group->HasAttribute("choices") ? reads.Integer("choices")
                                                              : places.size() / 3);
  if (!reads.status().ok()) return reads.status();
  if (e.choices < 0) {
    return BadInput(fmt::format("{}: attribute 'choices' is {}, it must be 0 or more",
                                files_[entries_[static_cast<size_t>(index)].file].string(),
                                e.choices));
  }
  std::vector<CueInterval> cues;
  for (size_t i = 0; i < std::min(begins.size(), ends.size()); ++i) {
    cues.push_back({begins[i], ends[i]});
  }
  e.cue_blocks = CueBlocks(cues, stride, e.blocks);
  return e;
}

Result<std::vector<std::vector<double>>> DemoReader::ReadStates(int index) {
  Result<Hdf5Node> group = Group(index);
  if (!group.ok()) return group.status();
  std::vector<double> flat;
  std::vector<int64_t> shape;
  if (Status status = group->Read("states", &flat, &shape); !status.ok()) return status;
  std::vector<std::vector<double>> states;
  for (int64_t i = 0; i < shape[0]; ++i) {
    states.emplace_back(flat.begin() + i * shape[1], flat.begin() + (i + 1) * shape[1]);
  }
  return states;
}

Result<std::vector<std::array<float, 7>>> DemoReader::ReadExecuted(int index) {
  Result<Hdf5Node> group = Group(index);
  if (!group.ok()) return group.status();
  std::vector<float> flat;
  if (Status status = group->Read("executed", &flat); !status.ok()) return status;
  return Rows<float, 7>(flat);
}

}  // namespace kvla

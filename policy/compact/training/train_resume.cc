// SPDX-License-Identifier: Apache-2.0
#include "policy/compact/training/train_resume.h"

#include <fmt/format.h>

#include <cstdlib>
#include <sstream>
#include <vector>

#include "base/config_differences.h"
#include "base/config_io.h"
#include "base/files.h"
#include "base/hash.h"
#include "policy/compact/checkpoint.h"
#include "policy/compact/training/train_state.h"
#include "tensors/safetensors.h"

namespace kvla {
namespace {

namespace fs = std::filesystem;

constexpr char kConfigNote[] = "train_config";
constexpr char kDemosNote[] = "demonstrations";
constexpr char kStartNote[] = "start";
constexpr char kStepsNote[] = "steps";
constexpr char kGateNote[] = "gate_config";

template <class T>
void Append(const std::vector<T>& values, std::string* bytes) {
  bytes->append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
}

// The config that a file's note holds, as YAML. BadInput where there is none.
Result<std::string> Note(const fs::path& file, const std::map<std::string, std::string>& notes,
                         const char* note) {
  const auto found = notes.find(note);
  if (found != notes.end()) return found->second;
  return BadInput(fmt::format(
      "{} does not say with which settings it was made, and is not overwritten: give another out",
      file.string()));
}

// `what` is "training" or "gate"; `differences` those that matter.
Status Refusal(const std::string& place, const std::string& what,
               const std::vector<std::string>& differences) {
  if (differences.empty()) return {};
  return BadInput(
      fmt::format("{} holds another {}:\n  {}\nGive another out, or the settings of that {}.",
                  place, what, ListDifferences(differences), what));
}

}  // namespace

std::string DemosText(const DemoCorpus& demos) {
  std::string bytes;
  for (const DemoEpisode& e : demos.episodes()) {
    bytes += fmt::format("{}/{}/{}/{};", e.task, e.delay, e.instruction, e.episode);
    Append(e.proprio, &bytes);
    Append(e.targets, &bytes);
    Append(e.target_class, &bytes);
  }
  return fmt::format("{} demonstrations, {}", demos.episodes().size(), HashHex(bytes));
}

std::map<std::string, std::string> TrainingNotes(const KeptTraining& training, int steps) {
  return {{kStepsNote, std::to_string(steps)},
          {kConfigNote, PrintConfig(training.config)},
          {kDemosNote, training.demonstrations},
          {kStartNote, training.start}};
}

Status CutCurve(const fs::path& file, int steps) {
  std::string kept = "step,loss,seconds,note\n";
  if (steps > 0 && Exists(file)) {
    const Result<std::string> text = ReadFile(file);
    if (!text.ok()) return text.status();
    std::istringstream lines(*text);
    std::string line;
    std::getline(lines, line);
    while (std::getline(lines, line) && std::atoi(line.c_str()) <= steps) kept += line + '\n';
  }
  return WriteFileAtomic(file, kept);
}

Result<std::optional<KeptTraining>> ReadKeptTraining(const fs::path& folder) {
  const fs::path weights = folder / kWeightsFile;
  if (!Exists(weights)) {
    if (!HasTrainState(folder / kStateFolder)) return std::optional<KeptTraining>();
    return BadInput(fmt::format(
        "{} holds the state of a training, but not {}, which says with which settings it was made; "
        "remove {} to start again",
        folder.string(), kWeightsFile, (folder / kStateFolder).string()));
  }
  const Result<TensorFile> file = ReadSafetensors(weights);
  if (!file.ok()) return file.status();
  KeptTraining kept;
  const Result<std::string> note = Note(weights, file->metadata, kConfigNote);
  if (!note.ok()) return note.status();
  const Result<ConfigNode> node = ParseYaml(*note, "its settings", false);
  const Status parsed = node.ok() ? ParseConfig(*node, &kept.config) : node.status();
  if (!parsed.ok()) {
    return parsed.In(weights.string() + " was made by another version of kvla; give another out");
  }
  const auto text = [&](const char* name) {
    const auto found = file->metadata.find(name);
    return found == file->metadata.end() ? std::string() : found->second;
  };
  kept.demonstrations = text(kDemosNote);
  kept.start = text(kStartNote);
  kept.steps = std::atoi(text(kStepsNote).c_str());
  return std::optional<KeptTraining>(std::move(kept));
}

Status CheckSameTraining(const KeptTraining& was, const TrainConfig& now,
                         const std::string& start) {
  TrainConfig same = now;
  same.out = was.config.out;
  same.threads = was.config.threads;
  same.validate_every = was.config.validate_every;
  same.checkpoint_every = was.config.checkpoint_every;
  same.half_file = was.config.half_file;
  if (now.steps >= was.config.steps) same.steps = was.config.steps;
  if (!was.demonstrations.empty()) {
    same.demos = was.config.demos;
    same.validation = was.config.validation;
  }
  if (!start.empty() && was.start == start) same.init_from = was.config.init_from;
  // An empty one is filled from the demonstrations.
  if (same.policy.vocabulary.empty()) same.policy.vocabulary = was.config.policy.vocabulary;
  const std::string before = PrintConfig(was.config), after = PrintConfig(same);
  if (before != after) {
    return Refusal(now.out, "training", ConfigDifferences(before, after, "that training"));
  }
  if (was.start.empty() || was.start == start) return {};
  return BadInput(fmt::format(
      "{} holds a training that started from {} when its weights were {}; now they are {}\nGive "
      "another out, or those weights.",
      now.out, was.config.init_from, was.start, start));
}

Status CheckSameDemos(const KeptTraining& was, const KeptTraining& now) {
  if (was.demonstrations.empty() || was.demonstrations == now.demonstrations) return {};
  return BadInput(fmt::format(
      "{} holds a training on other demonstrations:\n  then {}\n  now {}\nGive another out, "
      "or those demonstrations.",
      now.config.out, was.demonstrations, now.demonstrations));
}

Status CheckSameGate(const std::string& out, const std::string& config) {
  if (!Exists(out)) return {};
  const Result<TensorFile> file = ReadSafetensors(out);
  if (!file.ok()) return file.status();
  const Result<std::string> was = Note(out, file->metadata, kGateNote);
  if (!was.ok()) return was.status();
  if (*was == config) return {};
  std::vector<std::string> differences = ConfigDifferences(*was, config, "that gate");
  std::erase_if(differences, [](const std::string& line) {
    return line.starts_with("out is ") || line.starts_with("threads is ");
  });
  return Refusal(out, "gate", differences);
}

}  // namespace kvla

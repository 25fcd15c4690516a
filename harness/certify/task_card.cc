// SPDX-License-Identifier: Apache-2.0
#include "harness/certify/task_card.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "base/files.h"
#include "base/text.h"
#include "harness/certify/verdict.h"
#include "harness/episode/suite_options.h"
#include "sim/renderer.h"
#include "sim/world.h"

#define STB_IMAGE_WRITE_STATIC
#define STB_IMAGE_WRITE_IMPLEMENTATION
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#include <stb/stb_image_write.h>
#pragma GCC diagnostic pop

namespace kvla {
namespace {

using nlohmann::json;

constexpr int kTries = 10;           // episodes until the expert must have solved one
constexpr int kPictureSize = 256;    // side of a picture, pixels
constexpr int kGap = 4;              // white between two pictures, pixels
constexpr int kDrawnEpisodes = 200;  // whose schedules say how long a task takes

// What the families of memory ask for.
std::string Remembered(const std::string& family) {
  const std::map<std::string, std::string> what = {
      {"permanence", "where a thing is that went out of sight and was moved"},
      {"place", "where a thing came from"},
      {"object", "which of several things was named by the cue"},
      {"reference", "what a thing looked like that has to be found again"},
      {"sequence", "several events and their order"},
      {"counting", "how many times something happened"},
      {"capacity", "several facts at once, one for each thing"},
      {"revisit", "what was done already"},
      {"control", "nothing: this task catches a cache method that harms more than the memory"}};
  const auto found = what.find(family);
  return found == what.end() ? family : found->second;
}

// The world before each control step of a demonstration, and where its moments lie.
struct Demonstration {
  Scenario scenario;
  std::vector<std::vector<double>> states;
  int decision = -1;  // step at which it opened
  bool success = false;
};

Result<Demonstration> Demonstrate(const Task& task, World& world, const EpisodeKey& key) {
  Demonstration demo;
  Result<Scenario> scenario = task.Place(world, key);
  if (!scenario.ok()) return scenario.status();
  demo.scenario = *std::move(scenario);
  task.Update(world, demo.scenario);
  const std::unique_ptr<Expert> expert =
      task.MakeExpert(demo.scenario, /*blind=*/false, Rng(key, "card/expert"));
  demo.states.push_back(world.SaveState());
  for (int step = 0; step < demo.scenario.horizon_steps; ++step) {
    const Action action = expert->Act(world);
    if (demo.decision < 0 && expert->Label().decision) demo.decision = step;
    const Status stepped = world.Step(action);
    if (stepped.code() == StatusCode::kDiverged) return demo;
    if (!stepped.ok()) return stepped;
    task.Update(world, demo.scenario);
    demo.states.push_back(world.SaveState());
    const Progress progress = task.Evaluate(world, demo.scenario);
    demo.success = progress.success;
    if (progress.done) break;
  }
  return demo;
}

int StepAt(double seconds) { return static_cast<int>(std::lround(seconds * kControlRateHz)); }

// Of the last cue that is over at `seconds`; 0 if none is.
double LastCueEnd(const std::vector<CueInterval>& cues, double seconds) {
  double end = 0;
  for (const CueInterval& cue : cues) {
    if (cue.end_s <= seconds + 1e-6) end = std::max(end, cue.end_s);
  }
  return end;
}

// Moments of a demonstration in order, by control step.
std::vector<std::pair<std::string, int>> Moments(const Demonstration& demo) {
  const int end = static_cast<int>(demo.states.size()) - 1;
  const std::vector<CueInterval>& cues = demo.scenario.cues;
  std::vector<std::pair<std::string, int>> moments = {{"start", 0}};
  if (!cues.empty()) {
    moments.emplace_back("cue", StepAt(0.5 * (cues.front().begin_s + cues.front().end_s)));
  }
  const int past = StepAt(LastCueEnd(cues, demo.decision / kControlRateHz));
  if (demo.decision > past) {
    if (past > 0) moments.emplace_back("delay", (past + demo.decision) / 2);
    moments.emplace_back("decision", demo.decision);
  } else if (cues.empty()) {
    moments.emplace_back("middle", end / 2);
  }
  moments.emplace_back("end", end);
  for (auto& [name, step] : moments) step = std::clamp(step, 0, end);
  return moments;
}

// "4 to 8 s", "3 s"
std::string Seconds(double low, double high) {
  return high - low < 0.05 ? fmt::format("{:.3g} s", low)
                           : fmt::format("{:.3g} to {:.3g} s", low, high);
}

struct Extent {
  double low = INFINITY, high = -INFINITY;
  void Add(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  bool empty() const { return low > high; }
};

// One row a delay: how long, how far apart cue and decision, as drawn over many episodes.
Result<std::string> DelayTable(const Task& task) {
  std::string text =
      "| delay | horizon, control steps | horizon | first cue at | cue to decision |\n"
      "|---|---|---|---|---|\n";
  for (const std::string& delay : task.info().delays) {
    Extent steps, cue, wait;
    for (uint64_t i = 0; i < kDrawnEpisodes; ++i) {
      const EpisodeKey key{Split::kValidation, 0, task.info().name, delay, i};
      const Result<Scenario> s = task.Draw(key);
      if (!s.ok()) return s.status();
      steps.Add(s->horizon_steps);
      if (s->cues.empty()) continue;
      cue.Add(s->cues.front().begin_s);
      if (s->decision_s >= 0) wait.Add(s->decision_s - LastCueEnd(s->cues, s->decision_s));
    }
    text += fmt::format("| {} | {} | {} | {} | {} |\n", delay.empty() ? "-" : delay,
                        steps.low == steps.high
                            ? fmt::format("{:.0f}", steps.low)
                            : fmt::format("{:.0f} to {:.0f}", steps.low, steps.high),
                        Seconds(steps.low / kControlRateHz, steps.high / kControlRateHz),
                        cue.empty() ? "-" : Seconds(cue.low, cue.high),
                        wait.empty() ? "-" : Seconds(wait.low, wait.high));
  }
  return text;
}

std::string RateText(const json& rate) {
  const auto number = [&rate](const char* name) {
    return rate.contains(name) && rate[name].is_number() ? rate[name].get<double>() : NAN;
  };
  return fmt::format("{:.2f} ({:.2f} to {:.2f})", number("rate"), number("low"), number("high"));
}

std::string RateText(const json& row, const char* key) {
  return row.contains(key) && row[key].is_object() ? RateText(row[key]) : "-";
}

// Of a row, or of a part of it.
std::string VerdictText(const json& part) {
  const std::string verdict = part.value("verdict", "");
  if (verdict.empty()) return part.value("passed", false) ? "passed" : "FAILED";  // of older files
  Judgement judgement{.more = part.value("more_episodes", int64_t{0})};
  for (const Verdict known : {Verdict::kCertified, Verdict::kRefuted}) {
    if (verdict == VerdictName(known)) judgement.verdict = known;
  }
  return JudgementText(judgement);
}

std::string RuleRows(const std::string& delay, const json& rules) {
  std::string rows;
  for (const json& rule : rules.at("rules")) {
    rows += fmt::format("| {} | `{}`: {} | {} | {:.2f} | {} |\n", delay, rule.value("rule", ""),
                        rule.value("keeps", ""), RateText(rule), rules.value("expected", NAN),
                        VerdictText(rule));
  }
  return rows;
}

// Whether a row is of this task under these options; older certificates had none but the defaults.
bool IsRowOf(const Task& task, const json& row) {
  const std::map<std::string, std::string> defaults = SuiteMembers(TaskOptions());
  return row.value("task", "") == task.info().name &&
         row.value("suite", defaults) == SuiteMembers(task.options());
}

Result<std::string> CertificateTable(const Task& task, const std::string& certificates) {
  if (certificates.empty()) {
    return std::string(
        "Not certified here: `kvla certify --probe --rules --json` makes the certificate, "
        "`--certify FILE` puts it on this card.\n");
  }
  const json all = json::parse(certificates, nullptr, /*allow_exceptions=*/false);
  if (!all.is_object() || !all.contains("tasks") || !all["tasks"].is_array()) {
    return BadInput("not a certificate: kvla certify --json writes an object with a list 'tasks'");
  }
  std::string text =
      "| delay | expert | cue withheld | chance | probe | probe of the window | |\n"
      "|---|---|---|---|---|---|---|\n";
  std::string rules;
  for (const json& row : all["tasks"]) {
    if (!row.is_object()) return BadInput("not a certificate: a row of 'tasks' is no object");
    if (!IsRowOf(task, row)) continue;
    text += fmt::format("| {} | {} | {} | {:.3g} | {} | {} | {} |\n", row.value("delay", ""),
                        RateText(row, "expert"), RateText(row, "blind"), row.value("chance", 0.0),
                        RateText(row, "probe"), RateText(row, "probe_window"), VerdictText(row));
    if (row.contains("rules")) rules += RuleRows(row.value("delay", ""), row["rules"]);
  }
  text +=
      "\nRates with 95% Wilson intervals. Probe: "
      "a classifier on what is seen when the decision opens; of the window: on all frames that the "
      "policy's window holds then.\n";
  if (rules.empty()) return text;
  return text + fmt::format(
                    "\nHow often a rule that knows nothing of the task holds every cue at the "
                    "decision, with as many chunks as an oracle keeps:\n\n"
                    "| delay | rule | held | what its bytes explain | verdict |\n"
                    "|---|---|---|---|---|\n{}",
                    rules);
}

// "Bits to be remembered: 2 (short), 2 (medium)."; empty where the task does not say.
std::string BitsText(const TaskInfo& info) {
  std::vector<std::string> each;
  for (size_t i = 0; i < std::min(info.bits.size(), info.delays.size()); ++i) {
    each.push_back(fmt::format("{:.3g} ({})", info.bits[i], info.delays[i]));
  }
  return each.empty() ? "" : fmt::format("**Bits to be remembered:** {}.\n\n", Join(each, ", "));
}

}  // namespace

Result<std::vector<CardFrame>> DrawCardFrames(const Task& task, int image_size) {
  Result<std::unique_ptr<World>> loaded = World::Load(task.scene());
  if (!loaded.ok()) return loaded.status();
  World& world = **loaded;
  Result<std::unique_ptr<Renderer>> renderer =
      Renderer::Create(world.model(), image_size, image_size, {.shadows = true, .samples = 4});
  if (!renderer.ok()) return renderer.status();
  std::optional<Demonstration> demo;
  for (uint64_t i = 0; i < kTries && !demo; ++i) {
    const EpisodeKey key{Split::kValidation, 0, task.info().name, task.info().delays.front(), i};
    Result<Demonstration> tried = Demonstrate(task, world, key);
    if (!tried.ok()) return tried.status();
    if (tried->success) demo = *std::move(tried);
  }
  if (!demo) {
    return InternalError(
        fmt::format("task '{}': the expert solved none of {} episodes", task.info().name, kTries));
  }
  std::vector<CardFrame> frames;
  for (const auto& [caption, step] : Moments(*demo)) {
    if (Status s = world.RestoreState(demo->states[step]); !s.ok()) return s;
    task.Update(world, demo->scenario);
    CardFrame frame{caption, world.time_s(), {}};
    Status status = (*renderer)->Render(world, "front", image_size, image_size, &frame.image);
    if (!status.ok()) return status;
    frames.push_back(std::move(frame));
  }
  return frames;
}

Status WriteStrip(const std::vector<CardFrame>& frames, const std::filesystem::path& path) {
  const int size = frames.front().image.width;
  const int width = static_cast<int>(frames.size()) * (size + kGap) - kGap;
  std::vector<uint8_t> strip(size_t{3} * width * size, 255);
  for (size_t f = 0; f < frames.size(); ++f) {
    for (int row = 0; row < size; ++row) {
      std::memcpy(&strip[3 * (size_t{1} * row * width + f * (size + kGap))],
                  &frames[f].image.rgb[size_t{3} * row * size], size_t{3} * size);
    }
  }
  if (stbi_write_png(path.c_str(), width, size, 3, strip.data(), 3 * width) == 0) {
    return IoError(fmt::format("{}: cannot be written", path.string()));
  }
  return {};
}

Result<std::string> CardText(const Task& task, const std::vector<CardFrame>& frames,
                             const std::string& certificates) {
  const TaskInfo& info = task.info();
  std::string text = fmt::format("# {}\n\nFamily: {}.\n\n![{}]({}.png)\n\n", info.name, info.family,
                                 info.name, info.name);
  std::vector<std::string> captions;
  for (const CardFrame& frame : frames) {
    captions.push_back(fmt::format("{} ({:.1f} s)", frame.caption, frame.time_s));
  }
  text += fmt::format("From left to right: {}. Front camera, delay '{}', the scripted expert.\n\n",
                      Join(captions, ", "), info.delays.front());
  text += fmt::format("**What must be remembered:** {}.\n\n", Remembered(info.family));
  text += BitsText(info);
  text += fmt::format("**Suite:** {}.\n\n", SuiteText(task.options()));
  text += fmt::format("**Success:** {}.\n\n", info.success_rule);
  text += "## Instructions\n\nTo train on, the canonical one first:\n\n";
  for (const std::string& one : info.instructions) text += fmt::format("- {}\n", one);
  if (!info.held_out_instructions.empty()) text += "\nHeld out for evaluation:\n\n";
  for (const std::string& one : info.held_out_instructions) text += fmt::format("- {}\n", one);
  if (!info.target_names.empty()) {
    text += fmt::format("\n{{target}} is the episode's: {}.\n", Join(info.target_names, ", "));
  }
  text += "\n";
  text += "## Stages\n\n| stage | kind |\n|---|---|\n";
  for (const StageInfo& stage : info.stages) {
    text += fmt::format("| {} | {} |\n", stage.name,
                        stage.kind == StageKind::kDecisive ? "decisive" : "motor");
  }
  if (info.needs_memory) {
    text += fmt::format("\nChance of the decisive stage without memory: {:.3g}.\n", info.chance);
  }
  Result<std::string> delays = DelayTable(task);
  if (!delays.ok()) return delays.status();
  text += fmt::format("\n## Delays\n\n{}\n{} control steps a second; over {} draws a delay.\n",
                      *delays, kControlRateHz, kDrawnEpisodes);
  try {
    Result<std::string> certificate = CertificateTable(task, certificates);
    if (!certificate.ok()) return certificate.status();
    text += "\n## Certificate\n\n" + *certificate;
  } catch (const json::exception& e) {
    return BadInput(fmt::format("not a certificate: {}", e.what()));
  }
  return text;
}

Status WriteTaskCard(const Task& task, const std::string& certificates,
                     const std::filesystem::path& out) {
  const Result<std::vector<CardFrame>> frames = DrawCardFrames(task, kPictureSize);
  if (!frames.ok()) return frames.status();
  const Result<std::string> text = CardText(task, *frames, certificates);
  if (!text.ok()) return text.status();
  if (Status s = WriteStrip(*frames, out / (task.info().name + ".png")); !s.ok()) return s;
  return WriteFileAtomic(out / (task.info().name + ".md"), *text);
}

}  // namespace kvla

// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <imgui.h>

#include <algorithm>
#include <map>
#include <set>

#include "viewer/actions.h"
#include "viewer/panels/panels.h"
#include "viewer/panels/plot_tools.h"
#include "viewer/theme.h"

namespace kvla {
namespace {

std::string SpeedName(double speed) {
  return speed > 0 ? fmt::format("{:g} x", speed) : std::string("max");
}

// A button of an action; its tooltip names the key.
void ActionButton(PanelContext& context, ViewerAction action, const char* label, const char* name) {
  if (ImGui::Button(label)) Perform(action, context);
  for (const Shortcut& shortcut : Shortcuts()) {
    if (shortcut.action != action) continue;
    ImGui::SetItemTooltip("%s  [%s]", shortcut.help, shortcut.keys);
  }
  context.Mark(name);
  ImGui::SameLine(0, 4);
}

void DrawSpeed(PanelContext& context) {
  ImGui::SetNextItemWidth(ImGui::CalcTextSize("0.25 x___").x);
  if (ImGui::BeginCombo("##speed", SpeedName(context.state.speed).c_str())) {
    for (double speed : Speeds()) {
      if (ImGui::Selectable(SpeedName(speed).c_str(), speed == context.state.speed)) {
        context.state.speed = speed;
        context.Send(ViewerCommandKind::kSpeed, speed);
      }
    }
    ImGui::EndCombo();
  }
  ImGui::SetItemTooltip("Speed, times real time  [-] [=]");
  ImGui::SameLine(0, 4);
}

// A combo over names; true when another one was taken.
bool PickOne(const char* label, const char* tip, float width, const std::string& shown,
             const std::vector<std::string>& names, size_t* taken) {
  bool changed = false;
  ImGui::SetNextItemWidth(width);
  if (ImGui::BeginCombo(label, shown.c_str(), ImGuiComboFlags_HeightLarge)) {
    for (size_t i = 0; i < names.size(); ++i) {
      if (ImGui::Selectable(names[i].c_str(), names[i] == shown)) {
        *taken = i;
        changed = true;
      }
    }
    ImGui::EndCombo();
  }
  ImGui::SetItemTooltip("%s", tip);
  ImGui::SameLine(0, 4);
  return changed;
}

const char* OutcomeMark(const std::string& outcome) {
  return outcome == "success" ? "+" : outcome == "failure" ? "-" : outcome.empty() ? "" : "!";
}

void PickTask(PanelContext& context) {
  const Pick& pick = context.feed.pick();
  std::set<std::pair<std::string, std::string>> tasks;
  for (const EpisodeEntry& entry : context.feed.episodes()) {
    tasks.insert({entry.id.task, entry.id.delay});
  }
  std::vector<std::string> names;
  for (const auto& [task, delay] : tasks) names.push_back(task + "/" + delay);
  size_t taken = 0;
  const float em = ImGui::CalcTextSize("m").x;
  if (PickOne("##task", "Task and delay between cue and use", 22 * em, pick.task + "/" + pick.delay,
              names, &taken)) {
    const auto task = *std::next(tasks.begin(), static_cast<std::ptrdiff_t>(taken));
    Pick next = pick;
    next.task = task.first;
    next.delay = task.second;
    for (const EpisodeEntry& entry : context.feed.episodes()) {
      if (entry.id.task != next.task || entry.id.delay != next.delay) continue;
      next.seed = entry.id.seed;
      break;
    }
    Choose(context, next);
  }
}

void PickSeed(PanelContext& context) {
  const Pick& pick = context.feed.pick();
  const std::vector<int64_t> seeds = SeedsOf(context.feed);
  // How each arm on display ended, where that is known.
  const auto label = [&](int64_t seed) {
    std::string marks;
    for (const std::string& arm : pick.arms) {
      for (const EpisodeEntry& entry : context.feed.episodes()) {
        if (entry.id == EpisodeId{arm, pick.task, pick.delay, seed}) {
          marks += OutcomeMark(entry.outcome);
        }
      }
    }
    return fmt::format("seed {}{}{}", seed, marks.empty() ? "" : " ", marks);
  };
  std::vector<std::string> names;
  for (const int64_t seed : seeds) names.push_back(label(seed));
  size_t taken = 0;
  const float em = ImGui::CalcTextSize("m").x;
  if (PickOne("##seed", "Seed (+ success, - failure, ! error)  [P] [N]", 14 * em, label(pick.seed),
              names, &taken)) {
    Pick next = pick;
    next.seed = seeds[taken];
    Choose(context, next);
  }
}

void PickArms(PanelContext& context) {
  const Pick pick = context.feed.pick();
  const std::vector<std::string>& arms = context.feed.arms();
  const float em = ImGui::CalcTextSize("m").x;
  size_t taken = 0;
  if (PickOne("##arm", "Arm: the cache setting on display", 13 * em, pick.arms[0], arms, &taken)) {
    Pick next = pick;
    next.arms[0] = arms[taken];
    Choose(context, next);
  }
  if (arms.size() < 2) return;
  ImGui::TextUnformatted("and");
  ImGui::SameLine(0, 4);
  constexpr char kNone[] = "(no other)";
  std::vector<std::string> others = {kNone};
  others.insert(others.end(), arms.begin(), arms.end());
  if (PickOne("##other", "A second arm, side by side on the same playhead", 13 * em,
              pick.arms.size() > 1 ? pick.arms[1] : kNone, others, &taken)) {
    Pick next = pick;
    next.arms.resize(1);
    if (taken > 0) next.arms.push_back(arms[taken - 1]);
    Choose(context, next);
  }
}

// Marks over the slider: cues, decoys, where a cue's chunk was decided on, stages.
void DrawScrubMarks(PanelContext& context, ImVec2 low, ImVec2 high, float end) {
  ImDrawList* draw = ImGui::GetWindowDrawList();
  // The slider's grab has a width of its own; times lie between its extreme centres.
  const float grab = ImGui::GetStyle().GrabMinSize / 2 + 2;
  const float left = low.x + grab, width = high.x - low.x - 2 * grab;
  const auto at = [&](double time_s) {
    return left + width * std::clamp(static_cast<float>(time_s) / end, 0.0f, 1.0f);
  };
  const size_t count = context.sides.size();
  for (size_t i = 0; i < count; ++i) {
    const EpisodeModel& model = context.sides[i].model;
    for (const TraceCue& cue : model.begin().cues) {
      if (cue.begin_s > end) continue;
      draw->AddRectFilled(ImVec2(at(cue.begin_s), high.y - 5),
                          ImVec2(std::max(at(cue.end_s), at(cue.begin_s) + 3), high.y), kCueColour);
    }
    for (const TraceDecoy& decoy : model.begin().decoys) {
      if (decoy.begin_s > end) continue;
      const float x0 = at(decoy.begin_s);
      DrawDecoyBand(draw, ImVec2(x0, high.y - 5), ImVec2(std::max(at(decoy.end_s), x0 + 3), high.y),
                    255);
    }
    std::map<float, std::string> labels;
    for (size_t s = 0; s < model.stages().size(); ++s) {
      const auto& reached = model.stages()[s].reached_s;
      if (!reached.has_value()) continue;
      std::string& label = labels[at(*reached)];
      label += fmt::format("{}{}", label.empty() ? "" : ",", s + 1);
    }
    const float y = low.y + 1 + static_cast<float>(i) * 4;
    for (const auto& [x, label] : labels) {
      draw->AddTriangleFilled(
          ImVec2(x - 4, y), ImVec2(x + 4, y), ImVec2(x, y + 7),
          count > 1 ? (i == 0 ? colour::kSkyBlue : colour::kOrange) : colour::kOrange);
      if (count == 1) {
        const float wide = ImGui::CalcTextSize(label.c_str()).x;
        draw->AddText(ImVec2(x + 5 + wide > high.x ? x - 6 - wide : x + 5, low.y),
                      ImGui::GetColorU32(ImGuiCol_Text, 0.8f), label.c_str());
      }
    }
  }
}

// The playhead over the whole episode.
void DrawScrub(PanelContext& context) {
  ViewState& state = context.state;
  const std::string text = fmt::format(
      "{:6.2f} / {:.2f} s  step {:.0f}  inference {}", context.playhead_s(), context.end_s(),
      context.playhead_s() / context.model().control_period_s(), context.inference());
  const float text_width = ImGui::CalcTextSize("000.00 / 000.00 s  step 0000  inference 000").x;
  float at = static_cast<float>(context.playhead_s());
  const float end = static_cast<float>(std::max(0.05, context.end_s()));
  ImGui::SetNextItemWidth(ImGui::GetContentRegionAvail().x - text_width - 8);
  if (ImGui::SliderFloat("##time", &at, 0, end, "", ImGuiSliderFlags_NoInput)) {
    if (!context.feed.live()) state.paused = true;
    context.Seek(at);
  }
  const ImVec2 low = ImGui::GetItemRectMin(), high = ImGui::GetItemRectMax();
  const bool decoys = !context.model().begin().decoys.empty();
  ImGui::SetItemTooltip(
      "%s  Orange: cue; %snumbers: stages",
      context.feed.live() ? "Look at another moment; the episode goes on." : "The whole episode.",
      decoys ? "grey, hatched: shown, but to be ignored; " : "");
  context.Mark("scrub");
  DrawScrubMarks(context, low, high, end);
  ImGui::SameLine(0, 8);
  ImGui::TextUnformatted(text.c_str());
}

}  // namespace

void DrawTransport(PanelContext& context) {
  const bool open = BeginPanel(context, kTransportWindow, ImGuiWindowFlags_NoScrollbar);
  if (!open) {
    ImGui::End();
    return;
  }
  ViewState& state = context.state;
  ActionButton(context, ViewerAction::kInferenceBack, "<<", "inference back");
  ActionButton(context, ViewerAction::kStepBack, "<", "step back");
  ActionButton(context, ViewerAction::kPlayPause, state.paused ? " Play ###play" : "Pause ###play",
               "play");
  ActionButton(context, ViewerAction::kStep, "> Step###step", "step");
  ActionButton(context, ViewerAction::kInference, ">> Inference###inference", "inference");
  DrawSpeed(context);
  ActionButton(context, ViewerAction::kRestart, "Restart", "restart");
  if (context.feed.live()) {
    ImGui::BeginDisabled(state.follow);
    ActionButton(context, ViewerAction::kNewest, "Newest", "newest");
    ImGui::EndDisabled();
  } else {
    ImGui::Checkbox("Loop", &state.loop);
    ImGui::SameLine(0, 8);
  }
  if (!context.feed.episodes().empty()) {
    PickTask(context);
    PickSeed(context);
    PickArms(context);
  } else {
    ActionButton(context, ViewerAction::kNext, "Next seed", "next");
  }
  ActionButton(context, ViewerAction::kCue, "Cue", "cue");
  if (context.sides.size() > 1) {
    ActionButton(context, ViewerAction::kDivergence, "Divergence", "divergence");
  }
  ImGui::NewLine();
  DrawScrub(context);
  ImGui::End();
}

}  // namespace kvla

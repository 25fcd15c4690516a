// SPDX-License-Identifier: Apache-2.0
#include "viewer/episode_model.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace kvla {
namespace {

// The last element whose time is at or before `time_s`; `time_of` must not fall along the vector.
template <class T, class TimeOf>
const T* LastAt(const std::vector<T>& items, double time_s, TimeOf time_of) {
  constexpr double kSlack = 1e-9;
  auto after = std::upper_bound(items.begin(), items.end(), time_s + kSlack,
                                [&](double t, const T& item) { return t < time_of(item); });
  return after == items.begin() ? nullptr : &*std::prev(after);
}

}  // namespace

const ChunkEvent* ChunkTrack::DecisionAt(int inference) const {
  auto after = std::upper_bound(events.begin(), events.end(), inference,
                                [](int i, const ChunkEvent& e) { return i < e.inference; });
  return after == events.begin() ? nullptr : &*std::prev(after);
}

ChunkAction ChunkTrack::StateAt(int inference) const {
  const ChunkEvent* event = DecisionAt(inference);
  return event == nullptr ? ChunkAction::kWindow : event->decision.action;
}

void EpisodeModel::Apply(const TraceEvent& event) {
  if (!started_ && !std::holds_alternative<EpisodeBegin>(event)) return;
  ++revision_;
  std::visit([this](const auto& e) { On(e); }, event);
}

void EpisodeModel::On(const EpisodeBegin& begin) {
  started_ = true;
  ++episodes_;
  begin_ = begin;
  if (begin_.control_rate_hz <= 0) begin_.control_rate_hz = 20;
  begin_.replan_steps = std::max(1, begin_.replan_steps);
  begin_.chunk_blocks = std::max(1, begin_.chunk_blocks);
  end_.reset();
  chunks_.clear();
  inferences_.clear();
  steps_.clear();
  stages_.clear();
  commands_.clear();
  for (const TraceStage& stage : begin_.stages) stages_.push_back({stage, std::nullopt});
  time_s_ = 0;
}

void EpisodeModel::Grow(int block) {
  const int chunk_blocks = begin_.chunk_blocks;
  while (chunks_.size() * chunk_blocks <= static_cast<size_t>(block)) {
    ChunkTrack chunk;
    chunk.index = static_cast<int>(chunks_.size());
    chunk.first_block = chunk.index * chunk_blocks;
    chunks_.push_back(std::move(chunk));
  }
  for (auto chunk = chunks_.rbegin(); chunk != chunks_.rend(); ++chunk) {
    const int last = std::min(block, chunk->first_block + chunk_blocks - 1);
    if (chunk->last_block == last && chunk->end_s > 0) break;
    chunk->last_block = last;
    chunk->begin_s = chunk->first_block * replan_period_s();
    chunk->end_s = (last + 1) * replan_period_s();
    chunk->cue = false;
    // A frame shows the moment it was taken, not the time up to the next one.
    for (int b = chunk->first_block; b <= last; ++b) {
      chunk->cue = chunk->cue || CueAt(b * replan_period_s());
    }
  }
}

void EpisodeModel::On(const InferenceEvent& event) {
  if (event.index < 0 || event.index <= last_inference()) return;  // a repeat says nothing new
  Grow(event.index);
  for (const ChunkDecision& change : event.changes) {
    if (change.chunk < 0 || change.chunk >= static_cast<int>(chunks_.size())) continue;
    chunks_[change.chunk].events.push_back({event.index, change});
  }
  inferences_.push_back({event.index, event.time_s, event.cost, event.think_s, event.stale_steps,
                         event.late, event.action_chunk, event.attention, event.images});
  time_s_ = std::max(time_s_, event.time_s);
}

void EpisodeModel::On(const StepEvent& event) {
  if (!steps_.empty() && event.control_step <= steps_.back().control_step) return;
  const double time_s = (event.control_step + 1) * control_period_s();
  StepPoint point{event.control_step, event.action, nullptr};
  if (!event.state.empty()) {
    point.state = std::make_shared<const std::vector<double>>(event.state);
  }
  steps_.push_back(std::move(point));
  MarkStages(event.stages, time_s);
  time_s_ = std::max(time_s_, time_s);
}

void EpisodeModel::On(const EpisodeEnd& end) {
  end_ = end;
  MarkStages(end.stages, std::max(time_s_, end.steps * control_period_s()));
}

void EpisodeModel::On(const CommandEvent& command) { commands_.push_back(command); }

void EpisodeModel::MarkStages(const std::vector<bool>& reached, double time_s) {
  for (size_t i = 0; i < std::min(reached.size(), stages_.size()); ++i) {
    if (reached[i] && !stages_[i].reached_s.has_value()) stages_[i].reached_s = time_s;
  }
}

const InferencePoint* EpisodeModel::InferenceAt(double time_s) const {
  return LastAt(inferences_, time_s, [](const InferencePoint& p) { return p.time_s; });
}

const StepPoint* EpisodeModel::StepAt(double time_s) const {
  const double period = control_period_s();
  return LastAt(steps_, time_s, [&](const StepPoint& p) { return (p.control_step + 1) * period; });
}

const InferencePoint* EpisodeModel::ImagesAt(double time_s) const {
  const InferencePoint* point = InferenceAt(time_s);
  while (point != nullptr && point->images.empty()) {
    point = point == inferences_.data() ? nullptr : point - 1;
  }
  return point;
}

bool EpisodeModel::CueAt(double time_s) const {
  return std::any_of(begin_.cues.begin(), begin_.cues.end(), [time_s](const TraceCue& cue) {
    return time_s >= cue.begin_s - 1e-9 && time_s < cue.end_s - 1e-9;
  });
}

int EpisodeModel::FrameOf(const ChunkTrack& chunk) const {
  for (int b = chunk.first_block; b <= chunk.last_block; ++b) {
    if (CueAt(b * replan_period_s())) return b;
  }
  return chunk.first_block;
}

const TraceImage* EpisodeModel::Thumbnail(const ChunkTrack& chunk) const {
  const InferencePoint* found = nullptr;
  for (const InferencePoint& point : inferences_) {
    if (point.index > chunk.last_block) break;
    if (point.index < chunk.first_block || point.images.empty()) continue;
    // In a cue's chunk the frame worth a look is one that shows the cue.
    if (CueAt(point.time_s)) return &point.images.front();
    if (found == nullptr) found = &point;
  }
  return found == nullptr ? nullptr : &found->images.front();
}

const CommandEvent* EpisodeModel::SettingAt(const std::string& name, double time_s) const {
  const CommandEvent* found = nullptr;
  for (const CommandEvent& command : commands_) {
    if (command.name != name || command.control_step * control_period_s() > time_s + 1e-9) continue;
    found = &command;
  }
  return found;
}

const CommandEvent* EpisodeModel::HandAt(double time_s) const {
  const CommandEvent* hand = nullptr;
  for (const CommandEvent& command : commands_) {
    if (command.control_step * control_period_s() > time_s + 1e-9) break;
    const size_t numbers = command.name == "pull" ? 7 : command.name == "turn" ? 5 : 0;
    if (numbers > 0 && command.numbers.size() == numbers) hand = &command;
    if (command.name == "release") hand = nullptr;
  }
  return hand;
}

int EpisodeModel::AttentionLayers(const InferencePoint& point) const {
  const auto row = static_cast<size_t>(2 + point.index / begin_.chunk_blocks);
  return point.attention.size() % row == 0 ? static_cast<int>(point.attention.size() / row) : 0;
}

double EpisodeModel::AttentionOf(const InferencePoint& point, int chunk, int layer) const {
  const int row = 2 + point.index / begin_.chunk_blocks, layers = AttentionLayers(point);
  if (layers == 0 || chunk + 1 >= row || layer >= layers) return -1;
  if (layer >= 0) return point.attention[layer * row + chunk + 1];
  double sum = 0;
  for (int l = 0; l < layers; ++l) sum += point.attention[l * row + chunk + 1];
  return sum / layers;
}

int EpisodeModel::CountAt(int inference, ChunkAction state) const {
  return static_cast<int>(
      std::count_if(chunks_.begin(), chunks_.end(), [&](const ChunkTrack& chunk) {
        return chunk.first_block <= inference && chunk.StateAt(inference) == state;
      }));
}

int EpisodeModel::TokensOf(const ChunkTrack& chunk, int inference) const {
  if (chunk.first_block > inference) return 0;
  const int blocks = std::min(inference, chunk.last_block) - chunk.first_block + 1;
  switch (chunk.StateAt(inference)) {
    case ChunkAction::kWindow:
    case ChunkAction::kWhole:
      return blocks * begin_.tokens_per_block;
    case ChunkAction::kCompressed:
      return begin_.tokens_per_block;  // one summary per token slot
    case ChunkAction::kDropped:
      return 0;
  }
  return 0;
}

double EpisodeModel::BytesOf(const ChunkTrack& chunk, int inference) const {
  const InferencePoint* point = InferenceAt(inference * replan_period_s());
  if (point == nullptr || point->cost.cached_tokens <= 0) return 0;
  return static_cast<double>(point->cost.kv_live_bytes) / point->cost.cached_tokens *
         TokensOf(chunk, inference);
}

double EpisodeModel::FullBytesAt(const InferencePoint& point) const {
  if (point.cost.cached_tokens <= 0) return 0;
  const double per_token = static_cast<double>(point.cost.kv_live_bytes) / point.cost.cached_tokens;
  return per_token * (begin_.instruction_tokens + (point.index + 1.0) * begin_.tokens_per_block);
}

double EpisodeModel::LatencyPercentile(double p) const {
  if (inferences_.empty()) return 0;
  std::vector<double> totals;
  totals.reserve(inferences_.size());
  for (const InferencePoint& point : inferences_) totals.push_back(point.cost.latency.total_ms());
  std::sort(totals.begin(), totals.end());
  const double rank = std::clamp(p / 100, 0.0, 1.0) * static_cast<double>(totals.size() - 1);
  const size_t low = static_cast<size_t>(rank);
  const size_t high = std::min(low + 1, totals.size() - 1);
  return std::lerp(totals[low], totals[high], rank - static_cast<double>(low));
}

std::vector<int> DifferingChunks(const EpisodeModel& a, int inference_a, const EpisodeModel& b,
                                 int inference_b) {
  std::vector<int> chunks;
  for (size_t i = 0; i < std::min(a.chunks().size(), b.chunks().size()); ++i) {
    const ChunkTrack &x = a.chunks()[i], &y = b.chunks()[i];
    if (x.first_block > inference_a || y.first_block > inference_b) break;
    if (x.StateAt(inference_a) != y.StateAt(inference_b)) chunks.push_back(x.index);
  }
  return chunks;
}

}  // namespace kvla

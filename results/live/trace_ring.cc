// SPDX-License-Identifier: Apache-2.0
#include "results/live/trace_ring.h"

#include <algorithm>
#include <utility>

namespace kvla {

// Never so small that merging has nothing to work on.
BoundedTraceRing::BoundedTraceRing(size_t capacity, size_t max_images)
    : capacity_(std::max<size_t>(capacity, 8)), max_images_(max_images) {}

void BoundedTraceRing::On(const TraceEvent& event) {
  const std::lock_guard<std::mutex> lock(mutex_);
  while (queue_.size() >= capacity_) {
    if (std::holds_alternative<StepEvent>(event) && !std::ranges::any_of(queue_, [](auto& queued) {
          return std::holds_alternative<StepEvent>(queued);
        })) {
      ++counts_.dropped_steps;
      return;
    }
    if (DropOldestStep()) continue;
    const auto* inference = std::get_if<InferenceEvent>(&event);
    if (inference != nullptr && MergeInference(*inference)) return;
    if (DropOldestEpisode() || DropOldestCommand()) continue;
    // What is left is one unfinished episode: a begin at most, then inferences. Two become one.
    const InferenceEvent newest = std::move(std::get<InferenceEvent>(queue_.back()));
    queue_.pop_back();
    queued_images_ -= newest.images.empty() ? 0 : 1;
    MergeInference(newest);
  }
  queue_.push_back(event);
  if (const auto* inference = std::get_if<InferenceEvent>(&event)) {
    queued_images_ += inference->images.empty() ? 0 : 1;
    TrimImages();
  }
}

bool BoundedTraceRing::Poll(TraceEvent* event) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (queue_.empty()) return false;
  *event = std::move(queue_.front());
  queue_.pop_front();
  const auto* inference = std::get_if<InferenceEvent>(event);
  if (inference != nullptr && !inference->images.empty()) --queued_images_;
  return true;
}

BoundedTraceRing::Counts BoundedTraceRing::counts() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return counts_;
}

size_t BoundedTraceRing::size() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return queue_.size();
}

bool BoundedTraceRing::DropOldestStep() {
  const auto step = std::ranges::find_if(
      queue_, [](const TraceEvent& queued) { return std::holds_alternative<StepEvent>(queued); });
  if (step == queue_.end()) return false;
  queue_.erase(step);
  ++counts_.dropped_steps;
  return true;
}

bool BoundedTraceRing::MergeInference(const InferenceEvent& event) {
  for (auto queued = queue_.rbegin(); queued != queue_.rend(); ++queued) {
    if (std::holds_alternative<StepEvent>(*queued) ||
        std::holds_alternative<CommandEvent>(*queued)) {
      continue;
    }
    auto* older = std::get_if<InferenceEvent>(&*queued);
    if (older == nullptr) return false;  // another episode's border
    std::vector<ChunkDecision> changes = std::move(older->changes);
    for (const ChunkDecision& change : event.changes) {
      const auto same = std::ranges::find(changes, change.chunk, &ChunkDecision::chunk);
      if (same != changes.end()) changes.erase(same);
      changes.push_back(change);
    }
    std::vector<TraceImage> images = std::move(older->images);
    *older = event;
    older->changes = std::move(changes);
    if (event.images.empty()) {
      older->images = std::move(images);
    } else if (images.empty()) {
      ++queued_images_;
    } else {
      ++counts_.dropped_images;
    }
    ++counts_.merged_inferences;
    return true;
  }
  return false;
}

bool BoundedTraceRing::DropOldestCommand() {
  const auto command = std::ranges::find_if(queue_, [](const TraceEvent& queued) {
    return std::holds_alternative<CommandEvent>(queued);
  });
  if (command == queue_.end()) return false;
  queue_.erase(command);
  return true;
}

bool BoundedTraceRing::DropOldestEpisode() {
  // Up to its end, or to the next begin where a producer died before it could send one.
  auto border = queue_.begin();
  for (; border != queue_.end(); ++border) {
    if (std::holds_alternative<EpisodeEnd>(*border)) {
      ++border;
      break;
    }
    if (border != queue_.begin() && std::holds_alternative<EpisodeBegin>(*border)) break;
  }
  const bool found = border != queue_.end() || std::holds_alternative<EpisodeEnd>(queue_.back());
  if (!found) return false;
  for (auto queued = queue_.begin(); queued != border; ++queued) {
    const auto* inference = std::get_if<InferenceEvent>(&*queued);
    if (inference != nullptr && !inference->images.empty()) --queued_images_;
  }
  queue_.erase(queue_.begin(), border);
  ++counts_.dropped_episodes;
  return true;
}

void BoundedTraceRing::TrimImages() {
  for (auto queued = queue_.begin(); queued != queue_.end() && queued_images_ > max_images_;
       ++queued) {
    auto* inference = std::get_if<InferenceEvent>(&*queued);
    if (inference == nullptr || inference->images.empty()) continue;
    inference->images.clear();
    --queued_images_;
    ++counts_.dropped_images;
  }
}

}  // namespace kvla

// SPDX-License-Identifier: Apache-2.0
#include "policy/compact/training/demo_corpus.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

namespace kvla {

Result<DemoCorpus> DemoCorpus::Read(DemoSource& source, const PolicyConfig& config,
                                    const std::atomic<bool>* stop, const OnRead& on_read) {
  DemoCorpus corpus;
  for (int i = 0; i < source.size(); ++i) {
    if (stop != nullptr && *stop) return Status(StatusCode::kCancelled, "stopped while reading");
    Result<DemoEpisode> episode = source.Read(i);
    if (!episode.ok()) return episode.status();
    if (Status s = CheckDemo(*episode, config); !s.ok()) return s;
    if (on_read) on_read(*episode);
    PackImages(&*episode);
    corpus.episodes_.push_back(std::move(*episode));
  }
  if (corpus.episodes_.empty()) return BadInput("there are no demonstrations to train on");
  return corpus;
}

void DemoCorpus::GroupBy(Mix mix, const std::vector<std::string>& emphasis) {
  mix_ = mix;
  groups_.clear();
  for (size_t i = 0; i < episodes_.size(); ++i) {
    const DemoEpisode& episode = episodes_[i];
    Group& group = groups_[mix == Mix::kTasks ? episode.task : episode.instruction];
    group.weight += episode.blocks;
    group.by_instruction[episode.instruction].push_back(static_cast<int>(i));
  }
  for (auto& [name, group] : groups_) {
    group.weight = std::sqrt(group.weight) * std::exp2(std::ranges::count(emphasis, name));
  }
}

std::vector<std::string> DemoCorpus::DrawGroups(int samples, Rng& rng) const {
  double total = 0;
  for (const auto& [name, group] : groups_) total += group.weight;
  const double start = rng.Uniform();
  std::vector<std::string> drawn;
  for (int i = 0; i < samples; ++i) {
    double left = (mix_ == Mix::kTasks ? (start + i) / samples : start) * total;
    auto at = groups_.begin();
    while ((left -= at->second.weight) >= 0 && std::next(at) != groups_.end()) ++at;
    drawn.push_back(at->first);
  }
  return drawn;
}

const DemoEpisode& DemoCorpus::DrawEpisode(const std::string& group, Rng& rng) const {
  const auto& phrasings = groups_.at(group).by_instruction;
  auto at = phrasings.begin();
  if (phrasings.size() > 1) std::advance(at, rng.UniformInt(static_cast<int>(phrasings.size())));
  return episodes_[at->second[rng.UniformInt(static_cast<int>(at->second.size()))]];
}

}  // namespace kvla

// SPDX-License-Identifier: Apache-2.0
#include "policy/compact/training/training_set.h"

#include <algorithm>

#include "policy/compact/training/encode_episode.h"

namespace kvla {
namespace {

// Frame blocks that go through the net at once: a thread's share, few enough for several parts.
constexpr size_t kBlocksAtOnce = 168;

}  // namespace

Result<TrainingSet> TrainingSet::Read(DemoSource& source, const PolicyConfig& policy,
                                      VlaNet* frozen, const char* phase, const TrainHooks& hooks) {
  TrainingSet set;
  DemoCorpus::OnRead encode;
  if (frozen != nullptr) {
    if (hooks.encoded != nullptr) hooks.encoded->Behind(*frozen);
    encode = [&](DemoEpisode& episode) {
      set.encoded_.push_back(hooks.encoded != nullptr
                                 ? hooks.encoded->Of(*frozen, episode)
                                 : EncodeEpisode(*frozen, episode).to(torch::kFloat16));
      episode.images = {};
      episode.packed = {};
      const int done = static_cast<int>(set.encoded_.size());
      if (hooks.on_progress) hooks.on_progress({phase, done, source.size(), 0, 0, ""});
    };
  }
  Result<DemoCorpus> corpus = DemoCorpus::Read(source, policy, hooks.stop, encode);
  if (!corpus.ok()) return corpus.status();
  set.corpus_ = *std::move(corpus);
  return set;
}

Status TrainingSet::ReadInstructions(InstructionReader& reader) {
  for (const DemoEpisode& episode : corpus_.episodes()) {
    if (instructions_.contains(episode.instruction)) continue;
    Result<torch::Tensor> read = reader.Read(episode.instruction);
    if (!read.ok()) return read.status();
    instructions_[episode.instruction] = *read;
  }
  return {};
}

std::vector<Batch> TrainingSet::Draw(int samples, const PolicyConfig& policy,
                                     const SubHistoryOptions& options, Rng& rng) const {
  std::vector<std::pair<const DemoEpisode*, SubHistory>> drawn;
  for (const std::string& group : corpus_.DrawGroups(samples, rng)) {
    const DemoEpisode& episode = corpus_.DrawEpisode(group, rng);
    drawn.emplace_back(&episode, DrawSubHistory(episode, options, rng));
  }
  std::ranges::stable_sort(drawn, {}, [](const auto& d) { return d.second.blocks.size(); });
  std::vector<Batch> parts;
  for (size_t first = 0, end = 0; first < drawn.size(); first = end) {
    end = first + 1;
    // Counted with the padding: the longest comes last.
    while (end < drawn.size() &&
           (end + 1 - first) * drawn[end].second.blocks.size() <= kBlocksAtOnce) {
      ++end;
    }
    parts.push_back(PartOf(std::span(drawn).subspan(first, end - first), policy));
  }
  return parts;
}

Batch TrainingSet::PartOf(std::span<std::pair<const DemoEpisode*, SubHistory>> drawn,
                          const PolicyConfig& policy) const {
  std::vector<const DemoEpisode*> episodes;
  std::vector<SubHistory> histories;
  std::vector<torch::Tensor> instructions, encoded;
  for (auto& [episode, history] : drawn) {
    episodes.push_back(episode);
    histories.push_back(std::move(history));
    instructions.push_back(instructions_.at(episode->instruction));
    if (encoded_.empty()) continue;
    encoded.push_back(encoded_[episode - corpus_.episodes().data()]);
  }
  Batch batch =
      MakeBatch(episodes, std::move(histories), policy,
                policy.reads_sentences() ? torch::stack(instructions) : instructions.front());
  if (!encoded.empty()) batch.encoded = GatherEncoded(batch, encoded);
  return batch;
}

}  // namespace kvla

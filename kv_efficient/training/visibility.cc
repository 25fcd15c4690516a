// SPDX-License-Identifier: Apache-2.0
#include "kv_efficient/training/visibility.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "tensors/torch.h"

namespace kvla {
namespace {

// A decision in force: queries in blocks after `block` meet `action`.
struct Force {
  int block;
  ChunkAction action;
};

Status CheckSample(const BlockSchedule& schedule, std::span<const int> positions, int* complete) {
  const int chunk = schedule.chunk_blocks;
  *complete = 0;
  for (size_t i = 0; i < positions.size(); ++i) {
    if (positions[i] < 0 || (i > 0 && positions[i] <= positions[i - 1])) {
      return BadInput(
          fmt::format("sampled blocks must ascend: block {} at place {}", positions[i], i));
    }
    const int want = static_cast<int>(i) % chunk;
    if (positions[i] % chunk != want || (want > 0 && positions[i] != positions[i - 1] + 1)) {
      return BadInput(
          fmt::format("a sampled history must consist of whole chunks of {} blocks: block {} at "
                      "place {} does not "
                      "fit",
                      chunk, positions[i], i));
    }
    if (want == chunk - 1) ++*complete;
  }
  return {};
}

}  // namespace

Result<Visibility> BuildVisibility(const BlockSchedule& schedule, int instruction_tokens,
                                   int tokens_per_block, std::span<const int> positions,
                                   std::span<const DecisionEvent> events, ChunkAction otherwise) {
  Visibility v;
  if (Status s = CheckSample(schedule, positions, &v.complete_chunks); !s.ok()) return s;
  const int blocks = static_cast<int>(positions.size());
  v.instruction_tokens = instruction_tokens;
  v.tokens_per_block = tokens_per_block;
  v.chunk_blocks = schedule.chunk_blocks;
  v.positions.assign(positions.begin(), positions.end());
  for (int c = 0; c < v.complete_chunks; ++c) {
    v.chunks.push_back(schedule.ChunkOf(positions[c * schedule.chunk_blocks]));
  }
  std::map<int, std::vector<Force>> history;
  for (const DecisionEvent& e : events) {
    history[e.decision.chunk].push_back({e.block, e.decision.action});
  }
  const auto in_force = [&](int chunk, int block) {
    ChunkAction action = otherwise;
    if (const auto it = history.find(chunk); it != history.end()) {
      for (const Force& f : it->second) {
        if (f.block < block) action = f.action;
      }
    }
    return action;
  };

  // By block and by chunk; all tokens of a block see the same.
  at::Tensor near = torch::zeros({blocks, blocks}, torch::kBool);
  at::Tensor whole = torch::zeros({blocks, blocks}, torch::kBool);
  at::Tensor summary = torch::zeros({blocks, v.complete_chunks}, torch::kBool);
  auto near_at = near.accessor<bool, 2>();
  auto whole_at = whole.accessor<bool, 2>();
  auto summary_at = summary.accessor<bool, 2>();
  for (int query = 0; query < blocks; ++query) {
    const int left = schedule.LeftChunks(positions[query]);
    for (int key = 0; key <= query; key += schedule.chunk_blocks) {
      const int place = key / schedule.chunk_blocks, chunk = schedule.ChunkOf(positions[key]);
      const int end = std::min(key + schedule.chunk_blocks, blocks);
      if (chunk >= left) {
        for (int i = key; i < end && i <= query; ++i) near_at[query][i] = true;
        continue;
      }
      const ChunkAction action = in_force(chunk, positions[query]);
      if (action == ChunkAction::kCompressed) summary_at[query][place] = true;
      for (int i = key; action == ChunkAction::kWhole && i < end; ++i) whole_at[query][i] = true;
    }
  }
  const auto spread = [&](const at::Tensor& x) {
    return x.repeat_interleave(tokens_per_block, 0).repeat_interleave(tokens_per_block, 1);
  };
  const int64_t rows = int64_t{blocks} * tokens_per_block;
  v.near = spread(near);
  v.far = torch::cat(
      {torch::ones({rows, instruction_tokens}, torch::kBool), spread(whole), spread(summary)}, 1);
  v.far_bias = torch::zeros({v.far.size(1)});
  v.far_bias.narrow(0, instruction_tokens + rows, int64_t{v.complete_chunks} * tokens_per_block)
      .fill_(std::log(static_cast<float>(schedule.chunk_blocks)));
  return v;
}

}  // namespace kvla

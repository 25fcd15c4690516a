// SPDX-License-Identifier: Apache-2.0
// The grid of cuda/attention.cu on the host, block after block.
#ifndef KVLA_TESTS_KV_EFFICIENT_ATTENTION_HOST_BLOCKS_H_
#define KVLA_TESTS_KV_EFFICIENT_ATTENTION_HOST_BLOCKS_H_

#include <vector>

#include "kv_efficient/attention/block_attention.h"
#include "kv_efficient/attention/merge_splits.h"
#include "tests/kv_efficient/attention/host_team.h"
#include "tests/kv_efficient/attention/paged_case.h"

namespace kvla {

struct HostAnswer {
  std::vector<float> out, log_sum_exp;
  bool operator==(const HostAnswer&) const = default;
};

// What every lane gives, from blocks of kThreads that take kRows at a time.
template <int kThreads, int kRows>
std::vector<HostAnswer> AttendOnHost(const PagedCase& a, int pages_per_split, bool backwards) {
  using Team = HostTeam<kThreads>;
  std::vector<std::vector<KvPage>> pages(a.lanes.size());
  std::vector<HostAnswer> answers(a.lanes.size());
  std::vector<PagedLane> lanes(a.lanes.size());
  BlockJob job;
  job.shape = a.shape;
  job.pages_per_split = pages_per_split;
  for (size_t i = 0; i < lanes.size(); ++i) {
    const TestLane& lane = a.lanes[i];
    for (const TestPage& page : lane.pages) {
      pages[i].push_back({page.data.data()->of, page.bias.empty() ? nullptr : page.bias.data(),
                          page.kind.tokens, page.kind.format});
    }
    constexpr float kUnwritten = 1e30F;
    answers[i].out.assign(a.shape.rows * a.shape.head_dim, kUnwritten);
    answers[i].log_sum_exp.assign(a.shape.rows, kUnwritten);
    lanes[i] = {pages[i].data(),
                lane.far_pages,
                static_cast<int>(lane.pages.size()) - lane.far_pages,
                lane.far_queries.data(),
                lane.near_queries.data(),
                answers[i].out.data(),
                answers[i].log_sum_exp.data()};
    job.splits = std::max(job.splits, SplitsOf(lanes[i], pages_per_split));
  }
  const auto partials = static_cast<size_t>(job.PartialAt(static_cast<int>(lanes.size()), 0, 0));
  std::vector<Quad> out(partials * a.shape.head_dim / 4);
  std::vector<float> maximum(partials), sum(partials);
  job.lanes = lanes.data();
  job.partial_out = reinterpret_cast<float*>(out.data());
  job.partial_max = maximum.data();
  job.partial_sum = sum.data();
  job.space = BlockSpace(a.shape, kRows, kThreads);
  for (int lane = 0; lane < static_cast<int>(lanes.size()); ++lane) {
    for (int tile = 0; tile < CeilDiv(a.shape.rows, kRows); ++tile) {
      for (int split = 0; split < std::max(1, SplitsOf(lanes[lane], pages_per_split)); ++split) {
        Team team(job.space.bytes, backwards);
        BlockAttention<Team, kRows>(team, job, lane, tile, split).Run();
      }
    }
    for (int row = 0; row < a.shape.rows; ++row) {
      Team team(SplitMerge<Team>::kSharedBytes, backwards);
      SplitMerge<Team>(team, job, lane, row).Run();
    }
  }
  return answers;
}

}  // namespace kvla

#endif  // KVLA_TESTS_KV_EFFICIENT_ATTENTION_HOST_BLOCKS_H_

#include "kv_efficient/visibility.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "kv_efficient/torch.h"

namespace kvla {
namespace {

constexpr int64_t kSliceRows = 128;
// Below any logit, so that its weight is exactly 0, and finite, so that a row that sees nothing of
// a region has a log-sum-exp to merge with.
constexpr float kUnseen = -30000.0f;

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

Result<TrainingPlan> PlanTraining(std::span<const Visibility> samples, const RotaryTable& rotary,
                                  int age_clamp_blocks, at::Device device) {
  if (samples.empty()) return InternalError("a training plan needs a sample");
  const Visibility& first = samples[0];
  TrainingPlan plan;
  plan.instruction_tokens = first.instruction_tokens;
  plan.tokens_per_block = first.tokens_per_block;
  plan.chunk_blocks = first.chunk_blocks;
  plan.complete_chunks = first.complete_chunks;
  plan.tokens = first.near.size(0);
  const auto batch = static_cast<int64_t>(samples.size());

  std::vector<at::Tensor> near, far;
  at::Tensor positions = torch::empty({batch, 1, plan.tokens}, torch::kInt64);
  int64_t* position = positions.data_ptr<int64_t>();
  for (const Visibility& v : samples) {
    if (v.near.sizes() != first.near.sizes() || v.far.sizes() != first.far.sizes() ||
        v.instruction_tokens != first.instruction_tokens || v.chunk_blocks != first.chunk_blocks) {
      return InternalError("the samples of a batch must have the same shape");
    }
    near.push_back(v.near);
    far.push_back(v.far);
    for (const int p : v.positions) {
      if (p >= rotary.positions()) {
        return BadInput(fmt::format("block {} is beyond the {} positions of the rotary table", p,
                                    rotary.positions()));
      }
      for (int t = 0; t < v.tokens_per_block; ++t) *position++ = p;
    }
  }
  if (age_clamp_blocks >= rotary.positions()) {
    return BadInput(fmt::format("the age clamp {} is beyond the rotary table", age_clamp_blocks));
  }

  // Far columns that are seen, ordered by the first row that sees them, so that rows need a prefix.
  const at::Tensor near_all = torch::stack(near), far_all = torch::stack(far);
  const at::Tensor far_any = far_all.any(0);
  const auto far_seen = far_any.accessor<bool, 2>();
  const at::Tensor near_any = near_all.any(0);
  const auto near_seen = near_any.accessor<bool, 2>();
  const int64_t step = plan.tokens_per_block;      // the rows of a block see the same
  std::vector<std::pair<int64_t, int64_t>> order;  // first row, column
  for (int64_t column = 0; column < far_any.size(1); ++column) {
    int64_t row = 0;
    while (row < plan.tokens && !far_seen[row][column]) row += step;
    if (row < plan.tokens) order.emplace_back(row, column);
  }
  std::stable_sort(order.begin(), order.end());
  std::vector<int64_t> columns;
  for (const auto& [row, column] : order) columns.push_back(column);

  const int64_t slice_rows = std::max(step, kSliceRows / step * step);
  for (int64_t row = 0; row < plan.tokens; row += slice_rows) {
    QuerySlice s;
    s.row = row;
    s.rows = std::min(slice_rows, plan.tokens - row);
    const int64_t last = row + s.rows - 1;
    s.near = last;
    for (int64_t r = row; r <= last; r += step) {
      for (int64_t c = 0; c < s.near; c += step) {
        if (near_seen[r][c]) s.near = c;
      }
    }
    s.near_count = row + s.rows - s.near;
    for (const auto& [first_row, column] : order) s.far_count += first_row <= last;
    plan.slices.push_back(s);
  }

  const at::Tensor index = torch::tensor(columns, torch::kInt64);
  const at::Tensor seen = torch::cat({near_all, far_all.index_select(2, index)}, 2);
  const at::Tensor bias =
      torch::cat({torch::zeros({plan.tokens}), first.far_bias.index_select(0, index)});
  const at::Tensor unseen = torch::full({}, kUnseen);
  plan.mask = torch::where(seen, bias, unseen).unsqueeze(1).to(device);
  plan.far_columns = index.to(device);
  plan.cos = rotary.Cos(positions).to(device);
  plan.sin = rotary.Sin(positions).to(device);
  const at::Tensor age = torch::full({1}, age_clamp_blocks, torch::kInt64);
  plan.far_cos = rotary.Cos(age).squeeze(0).to(device);
  plan.far_sin = rotary.Sin(age).squeeze(0).to(device);
  return plan;
}

}  // namespace kvla

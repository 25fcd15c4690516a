// SPDX-License-Identifier: Apache-2.0
#include "policy/compact/cpu/cpu_heads.h"

#include <algorithm>
#include <cmath>

#include "policy/compact/net/shapes.h"

namespace kvla {
namespace {

float Length(const float* x, int n) {
  double square = 0;
  for (int i = 0; i < n; ++i) square += static_cast<double>(x[i]) * x[i];
  return static_cast<float>(std::sqrt(square));
}

// A waypoint as the action head reads it: offset, nearness, direction.
void Aim(const float* waypoint, float* aim) {
  const float distance = Length(waypoint, kPlaceDim);
  for (int i = 0; i < kPlaceDim; ++i) {
    aim[i] = static_cast<float>(kAimScale) * waypoint[i];
    aim[kPlaceDim + i] =
        static_cast<float>(kAimScale * std::tanh(waypoint[i] * (kWaypointScale / kAimNear)));
    aim[2 * kPlaceDim + i] = static_cast<float>(kAimScale) *
                             (waypoint[i] / (distance + static_cast<float>(kAimNowhere)));
  }
}

// The columns [begin, end) of a row-major matrix.
std::vector<float> Columns(const std::vector<float>& matrix, int width, int begin, int end) {
  std::vector<float> columns;
  for (size_t row = 0; row < matrix.size(); row += width) {
    columns.insert(columns.end(), matrix.begin() + static_cast<std::ptrdiff_t>(row) + begin,
                   matrix.begin() + static_cast<std::ptrdiff_t>(row) + end);
  }
  return columns;
}

}  // namespace

CpuHeads::CpuHeads(const WeightSource& weights, const PolicyConfig& config)
    : classes_(config.num_target_classes),
      replan_steps_(config.replan_steps),
      block_width_(config.tokens_per_block() * config.hidden_size),
      from_hand_(config.places == "from_hand"),
      choose_(config.way == "choose") {
  const std::vector<float> action = weights("action_head.0.weight");
  std::vector<float> weight, bias;
  for (const std::string name : {"target_head", "places_head", "waypoint_head.0"}) {
    weight = Stacked(std::move(weight), weights(name + ".weight"));
    bias = Stacked(std::move(bias), weights(name + ".bias"));
  }
  const int action_inputs = block_width_ + kAimDim;
  weight = Stacked(std::move(weight), Columns(action, action_inputs, 0, block_width_));
  bias = Stacked(std::move(bias), weights("action_head.0.bias"));
  block_ = PackedMatrix(weight, bias, static_cast<int>(bias.size()), block_width_);
  waypoint_ = TakeLinear(weights, "waypoint_head.2", kPlaceDim + 1, kHeadWidth, true);
  aim_ = PackedMatrix(Columns(action, action_inputs, block_width_, action_inputs), {}, kHeadWidth,
                      kAimDim);
  action_ = TakeLinear(weights, "action_head.2", replan_steps_ * kActionOutputs, kHeadWidth, true);
}

CpuHeads::Row CpuHeads::RowOf(size_t frame) {
  float* row = read_.data() + frame * block_.outputs();
  float* places = row + classes_;
  float* waypoint = places + static_cast<ptrdiff_t>(kPlaceDim) * classes_;
  return {row, places, waypoint, waypoint + kHeadWidth};
}

// One product reads the block for all heads. The place of the likeliest target is looked up; the
// way leads there or elsewhere, as the waypoint head says; the action head, whose first layer has
// read the block already, is then told of the way. In the plane the motion leads towards the
// waypoint at the paces that the action head gives.
void CpuHeads::Run(const float* hidden, std::span<const std::array<float, kProprioDim>> proprio,
                   std::span<Targets> targets) {
  const Kernels& kernels = CpuKernels();
  const auto frames = static_cast<int>(proprio.size());
  read_.resize(static_cast<size_t>(frames) * block_.outputs());
  way_.resize(static_cast<size_t>(frames) * waypoint_.outputs());
  aims_.resize(static_cast<size_t>(frames) * kAimDim);
  actions_.resize(static_cast<size_t>(frames) * action_.outputs());
  const auto linear = [&](const PackedMatrix& weight, const float* x, int64_t stride, float* out,
                          int64_t out_stride, bool add) {
    kernels.linear({.weight = weight.view(),
                    .x = x,
                    .rows = frames,
                    .row_stride = stride,
                    .out = out,
                    .out_stride = out_stride,
                    .add = add});
  };
  linear(block_, hidden, block_width_, read_.data(), block_.outputs(), false);
  for (int f = 0; f < frames; ++f) kernels.silu(RowOf(f).waypoint, kHeadWidth);
  linear(waypoint_, RowOf(0).waypoint, block_.outputs(), way_.data(), waypoint_.outputs(), false);
  std::vector<std::array<float, kPlaceDim>> waypoints(frames);
  for (int f = 0; f < frames; ++f) {
    const Row row = RowOf(f);
    const float* way = way_.data() + static_cast<ptrdiff_t>(f) * waypoint_.outputs();
    const auto looked_up = std::max_element(row.classes, row.classes + classes_) - row.classes;
    const float to_goal = way[kPlaceDim];
    const float share = choose_ ? (to_goal > 0 ? 1.0F : 0.0F)
                                : static_cast<float>(1 / (1 + std::exp(-double{to_goal})));
    for (int i = 0; i < kPlaceDim; ++i) {
      const float origin =
          from_hand_ ? 0.0F
                     : (kProprioCentre[i] - proprio[f][i]) / static_cast<float>(kWaypointScale);
      const float goal = row.places[kPlaceDim * looked_up + i] + origin;
      const float elsewhere = way[i] + origin;
      waypoints[f][i] = elsewhere + share * (goal - elsewhere);
    }
    Aim(waypoints[f].data(), aims_.data() + static_cast<ptrdiff_t>(f) * kAimDim);
  }
  linear(aim_, aims_.data(), kAimDim, RowOf(0).action, block_.outputs(), true);
  for (int f = 0; f < frames; ++f) kernels.silu(RowOf(f).action, kHeadWidth);
  linear(action_, RowOf(0).action, block_.outputs(), actions_.data(), action_.outputs(), false);
  for (int f = 0; f < frames; ++f) {
    targets[f].clear();
    // The way towards the waypoint in the plane, cut at each of kReaches.
    float plane_way[kPlaneDim], reaches[kNumReaches];
    for (int i = 0; i < kPlaneDim; ++i) {
      plane_way[i] = waypoints[f][i] * static_cast<float>(kWaypointScale);
    }
    const float distance = std::max(Length(plane_way, kPlaneDim), static_cast<float>(kAimNowhere));
    for (int r = 0; r < kNumReaches; ++r) {
      reaches[r] = std::min(static_cast<float>(kReaches[r]) / distance, 1.0F);
    }
    for (int step = 0; step < replan_steps_; ++step) {
      const float* action = actions_.data() + static_cast<ptrdiff_t>(f) * action_.outputs() +
                            static_cast<ptrdiff_t>(step) * kActionOutputs;
      const float* pace = action + kActionOutputs - kNumReaches;
      std::array<float, kTargetDim> target{};
      for (int i = 0; i < kPlaneDim; ++i) {
        for (int r = 0; r < kNumReaches; ++r) target[i] += pace[r] * (plane_way[i] * reaches[r]);
      }
      target[kPlaneDim] = action[0] * static_cast<float>(kPositionScale);
      std::copy(action + 1, action + kMotionDim - kPlaneDim, target.begin() + kPlaceDim);
      target[kTargetDim - 1] = action[kMotionDim - kPlaneDim] > 0 ? 1.0F : -1.0F;
      targets[f].push_back(target);
    }
  }
}

}  // namespace kvla

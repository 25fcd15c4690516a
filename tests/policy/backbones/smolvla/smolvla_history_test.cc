// SPDX-License-Identifier: Apache-2.0
// Earlier inferences stay in the cache: against an attention that keeps every row and turns each to
// its distance anew.
#include <gtest/gtest.h>

#include <cmath>
#include <optional>
#include <utility>

#include "kv_efficient/kv_cache.h"
#include "kv_efficient/schedule.h"
#include "tests/policy/backbones/smolvla/tiny_smolvla.h"

namespace kvla {
namespace {

constexpr int kFrames = 7, kWindow = 2, kClamp = 4;

// x [heads, n, head_dim] turned by so many positions, in double.
at::Tensor Turned(const at::Tensor& x, int64_t positions) {
  const int64_t half = x.size(2) / 2;
  const at::Tensor angle =
      torch::pow(10000.0, torch::arange(half, torch::kFloat64) * (-2.0 / x.size(2))) *
      static_cast<double>(positions);
  const at::Tensor a = x.narrow(2, 0, half).to(at::kDouble), b = x.narrow(2, half, half);
  return torch::cat({a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin()}, 2)
      .to(at::kFloat);
}

// Softmax over all keys that `hidden` [n, m] does not name, by plain products.
AttendedRows Plain(const at::Tensor& q, const KvRows& rows, const at::Tensor& hidden) {
  const int64_t group = q.size(0) / rows.keys.size(0);
  const at::Tensor k = rows.keys.repeat_interleave(group, 0);
  const at::Tensor v = rows.values.repeat_interleave(group, 0);
  at::Tensor score = torch::matmul(q, k.transpose(1, 2)) / std::sqrt(q.size(2));
  score = score.masked_fill(hidden, -INFINITY);
  return {torch::matmul(score.softmax(2), v), torch::logsumexp(score, 2)};
}

class PlainHistory : public PrefixAttention {
 public:
  // `drops`: what has left the window is gone.
  PlainHistory(int layers, bool drops) : drops_(drops), frames_(layers) {}
  void NextFrame() { ++frame_; }

  at::Tensor Append(int layer, const Qkv& rows, std::span<const int> segments) override {
    frames_[layer].push_back({rows.k, rows.v});
    const int64_t own = rows.q.size(1), last = segments.back();
    const KvRows seen = Rows(layer);
    at::Tensor hidden = torch::zeros({own, seen.keys.size(1)}, torch::kBool);
    hidden.narrow(0, 0, own - last).narrow(1, seen.keys.size(1) - last, last).fill_(true);
    return Plain(rows.q, seen, hidden).out;
  }
  AttendedRows Query(int layer, const at::Tensor& q) override {
    const KvRows seen = Rows(layer);
    return Plain(q, seen, torch::zeros({q.size(1), seen.keys.size(1)}, torch::kBool));
  }
  KvRows Rows(int layer) override {
    std::vector<at::Tensor> keys, values;
    const int near = BlockSchedule(kWindow, 1).NearBegin(frame_);
    for (int f = drops_ ? near : 0; f <= frame_; ++f) {
      const KvRows& rows = frames_[layer][f];
      const int64_t distance = f < near ? kClamp : frame_ - f;
      keys.push_back(Turned(rows.keys, -distance * rows.keys.size(1)));
      values.push_back(rows.values);
    }
    return {torch::cat(keys, 1), torch::cat(values, 1)};
  }

 private:
  bool drops_;
  int frame_ = 0;
  std::vector<std::vector<KvRows>> frames_;  // by layer
};

class SmolVlaHistoryTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    auto loaded = SmolVla::Load(TinySmolVla(GetParam()));
    ASSERT_TRUE(loaded.ok()) << loaded.status().message();
    model_ = std::move(*loaded);
    auto stages = TinyStages(GetParam());
    ASSERT_TRUE(stages.ok()) << stages.status().message();
    actions_ = stages->at("actions");
    input_ = InputOf(*stages, model_->config().cameras.size());
  }
  // What is seen at a frame: the images move.
  SmolVlaInput Frame(int frame) const {
    SmolVlaInput input = input_;
    for (at::Tensor& image : input.images) {
      if (image.defined()) image = image.roll(3 * frame, 1);
    }
    input.state = input.state + 0.1 * frame;
    return input;
  }
  int images() const {
    int there = 0;
    for (const at::Tensor& image : input_.images) there += image.defined() ? 1 : 0;
    return there;
  }
  std::unique_ptr<SmolVla> model_;
  at::Tensor actions_;  // LeRobot's, at frame 0
  SmolVlaInput input_;
};

TEST_P(SmolVlaHistoryTest, EarlierFramesAreSeenAtTheirDistances) {
  const int layers = model_->config().vlm.text.layers;
  const CacheGeometry geometry =
      model_->HistoryGeometry(images(), static_cast<int>(input_.prompt.size()), kFrames, kClamp);
  for (const char* method : {"full", "window"}) {
    SCOPED_TRACE(method);
    CacheConfig config;
    config.policy = method;
    config.window_blocks = kWindow;
    config.chunk_blocks = 1;
    auto cache = KvCache::Create(geometry, config, at::kCPU);
    ASSERT_TRUE(cache.ok()) << cache.status().message();
    PlainHistory plain(layers, method == std::string("window"));
    HistoryPrefix history(cache->get());
    for (int frame = 0; frame < kFrames; ++frame) {
      const SmolVlaInput input = Frame(frame);
      ASSERT_TRUE((*cache)->BeginBlock().ok());
      const Result<at::Tensor> got = model_->Actions(input, &history);
      ASSERT_TRUE(got.ok()) << got.status().message();
      ASSERT_TRUE((*cache)->EndBlock().ok());
      const Result<at::Tensor> want = model_->Actions(input, &plain);
      ASSERT_TRUE(want.ok()) << want.status().message();
      plain.NextFrame();
      EXPECT_LT((*got - *want).abs().max().item<double>(), 1e-4) << "frame " << frame;
      const Result<at::Tensor> alone = model_->Actions(input);
      ASSERT_TRUE(alone.ok()) << alone.status().message();
      const double moved = (*got - *alone).abs().max().item<double>();
      if (frame == 0) {  // the published model
        EXPECT_LT(moved, 1e-5);
        EXPECT_LT((*got - actions_).abs().max().item<double>(), 1e-4);
      } else {
        EXPECT_GT(moved, 1e-3) << "frame " << frame << " does not see its history";
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Tiny, SmolVlaHistoryTest, testing::ValuesIn(kTinySmolVlas),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace kvla

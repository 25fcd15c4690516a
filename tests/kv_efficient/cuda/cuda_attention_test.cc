// SPDX-License-Identifier: Apache-2.0
// Attention on a CUDA device against the block function on the host, and against softmax attention
// in double. Skipped where there is no device.
#include "kv_efficient/cuda/cuda_attention.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <span>
#include <vector>

#include "tests/kv_efficient/attention/host_blocks.h"

namespace kvla {
namespace {

class CudaAttentionTest : public testing::Test {
 protected:
  void SetUp() override {
    const Result<CudaDevice> device = FindCudaDevice();
    if (!device.ok()) {
      GTEST_SKIP() << device.status().message()
                   << ": nothing was tested (scripts/gpu_report.sh where there is one)";
    }
    Result<CudaBuffer> memory = CudaBuffer::Make(kBytes);
    ASSERT_TRUE(memory.ok()) << memory.status().message();
    memory_ = std::move(memory.value());
  }

  // A copy on the device of what lies here.
  template <class T>
  T* Place(const std::vector<T>& from) {
    if (from.empty()) return nullptr;
    const auto bytes = std::as_bytes(std::span(from));
    std::byte* to = memory_.data() + used_;
    used_ += (static_cast<int64_t>(bytes.size()) + 255) / 256 * 256;
    EXPECT_LE(used_, kBytes);
    EXPECT_TRUE(CopyToDevice(to, bytes).ok());
    return reinterpret_cast<T*>(to);
  }

  template <class T>
  void Fetch(std::vector<T>* to, const T* from) {
    const Status status = CopyFromDevice(std::as_writable_bytes(std::span(*to)),
                                         reinterpret_cast<const std::byte*>(from));
    ASSERT_TRUE(status.ok()) << status.message();
  }

  std::vector<HostAnswer> Attend(const PagedCase& a, int pages_per_split) {
    used_ = 0;
    CudaAttentionCall call{.shape = a.shape, .pages_per_split = pages_per_split};
    std::vector<PagedLane> lanes;
    std::vector<HostAnswer> answers;
    for (const TestLane& lane : a.lanes) {
      std::vector<KvPage> pages;
      for (const TestPage& page : lane.pages) {
        pages.push_back({reinterpret_cast<std::byte*>(Place(page.data)), Place(page.bias),
                         page.kind.tokens, page.kind.format});
      }
      constexpr float kUnwritten = 1e30F;
      answers.emplace_back();
      answers.back().out.assign(a.shape.rows * a.shape.head_dim, kUnwritten);
      answers.back().log_sum_exp.assign(a.shape.rows, kUnwritten);
      const int count = static_cast<int>(pages.size());
      lanes.push_back({Place(pages), lane.far_pages, count - lane.far_pages,
                       Place(lane.far_queries), Place(lane.near_queries), Place(answers.back().out),
                       Place(answers.back().log_sum_exp)});
      call.most_pages = std::max(call.most_pages, count);
      call.total_pages += count;
    }
    call.lanes = Place(lanes);
    call.num_lanes = static_cast<int>(lanes.size());
    const Status status = attention_.Attend(call);
    EXPECT_TRUE(status.ok()) << status.message();
    for (size_t i = 0; i < lanes.size(); ++i) {
      Fetch(&answers[i].out, lanes[i].out);
      Fetch(&answers[i].log_sum_exp, lanes[i].log_sum_exp);
    }
    return answers;
  }

  static constexpr int64_t kBytes = int64_t{64} << 20;
  CudaBuffer memory_;
  int64_t used_ = 0;
  CudaAttention attention_;
};

bool Near(double got, double want, double tolerance) {
  return std::isinf(want) ? got == want : std::abs(got - want) <= tolerance;
}

// The worst of what a lane gave.
void Check(const PagedCase& a, const std::vector<HostAnswer>& answers,
           const std::vector<HostAnswer>& host) {
  for (size_t lane = 0; lane < answers.size(); ++lane) {
    const Attended want = a.Oracle(static_cast<int>(lane));
    const double tolerance = Tolerance(want);
    int wrong = 0;
    for (size_t i = 0; i < want.out.size(); ++i) {
      const double got = answers[lane].out[i];
      wrong += !Near(got, want.out[i], tolerance) || !Near(got, host[lane].out[i], tolerance);
    }
    for (size_t i = 0; i < want.log_sum_exp.size(); ++i) {
      const double got = answers[lane].log_sum_exp[i];
      wrong += !Near(got, want.log_sum_exp[i], tolerance) ||
               !Near(got, host[lane].log_sum_exp[i], tolerance);
    }
    EXPECT_EQ(wrong, 0) << "lane " << lane << ": " << a.shape.rows << " rows, " << a.shape.head_dim
                        << " wide, pages of " << a.shape.page_tokens;
  }
}

TEST_F(CudaAttentionTest, IsWhatTheHostComputesAndSoftmaxAtEveryEdge) {
  int cases = 0;
  ForEachPagedCase([&](const PagedCase& a) {
    const int pages_per_split = ++cases % 5;  // 0: as the device wants it
    const auto host =
        a.shape.rows > 8 ? AttendOnHost<128, 16>(a, 9, false) : AttendOnHost<128, 8>(a, 9, false);
    Check(a, Attend(a, pages_per_split), host);
  });
}

TEST_F(CudaAttentionTest, TheSameCallGivesTheSameBits) {
  const std::vector<PageKind> pages(40, {KvFormat::kInt8, 64, true});
  const PagedCase a(128, 64, 8, {{pages, pages}, {pages, {}}}, 9);
  const std::vector<HostAnswer> first = Attend(a, 3);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(Attend(a, 3), first);
}

TEST_F(CudaAttentionTest, MoreSplitsThanABlockHasThreads) {
  const PagedCase a(32, 4, 2, {{std::vector<PageKind>(300, {KvFormat::kF32, 4}), {}}}, 5);
  Check(a, Attend(a, 1), AttendOnHost<128, 2>(a, 1, false));
}

TEST_F(CudaAttentionTest, WhatIsNoNumberStaysNone) {
  for (const bool in_key : {true, false}) {
    for (const int pages_per_split : {1, 8}) {
      PagedCase a(64, 16, 4, {{{}, std::vector<PageKind>(3, {KvFormat::kF32, 16})}}, 7);
      TestPage& page = a.lanes[0].pages[1];
      (in_key ? page.keys : page.values)[100] = std::numeric_limits<float>::quiet_NaN();
      EncodePage({KvFormat::kF32, 64, 16}, page.keys, page.values, 16,
                 std::as_writable_bytes(std::span(page.data)));
      const HostAnswer answer = Attend(a, pages_per_split)[0];
      for (int row = 0; row < 4; ++row) EXPECT_TRUE(std::isnan(answer.out[row * 64 + 36]));
    }
  }
}

TEST_F(CudaAttentionTest, AShapeThatTheKernelsDoNotTakeIsRefused) {
  CudaAttentionCall call{.shape = {48, 16, 1, KvFormat::kF32}, .num_lanes = 1};
  EXPECT_EQ(attention_.Attend(call).code(), StatusCode::kBadInput);
  call.shape = {64, 16, 0, KvFormat::kF32};
  EXPECT_EQ(attention_.Attend(call).code(), StatusCode::kBadInput);
}

}  // namespace
}  // namespace kvla

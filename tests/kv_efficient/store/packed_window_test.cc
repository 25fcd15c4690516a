// SPDX-License-Identifier: Apache-2.0
#include "kv_efficient/store/packed_window.h"

#include "tests/kv_efficient/episodes.h"

namespace kvla {
namespace {

constexpr int kWidth = 16, kSlots = 3, kChunkBlocks = 4;

class PackedWindowTest : public testing::Test {
 protected:
  PackedWindowTest() { torch::manual_seed(3); }

  // [1, blocks * slots, width] of one lane.
  void Append(int blocks) {
    const int64_t first = keys_.defined() ? keys_.size(1) : 0;
    const at::Tensor k = torch::randn({1, int64_t{blocks} * kSlots, kWidth});
    const at::Tensor v = torch::randn({1, int64_t{blocks} * kSlots, kWidth});
    keys_ = first > 0 ? torch::cat({keys_, k}, 1) : k;
    values_ = first > 0 ? torch::cat({values_, v}, 1) : v;
    for (int b = 0; b < blocks; ++b) {
      const auto rows = [&](const at::Tensor& x) {
        return HeadRows{x.const_data_ptr<float>() + int64_t{b} * kSlots * kWidth, x.stride(0),
                        x.stride(1)};
      };
      window_.Append(0, 0, rows(k), rows(v));
    }
  }
  std::vector<std::pair<KvFormat, int>> Pages() const {  // and tokens
    std::vector<std::pair<KvFormat, int>> pages;
    for (const EncodedPage& page : window_.pages(0)) {
      pages.emplace_back(page.layout.format, page.tokens);
    }
    return pages;
  }

  PackedWindow window_{KvFormat::kInt8, kWidth, 1, kChunkBlocks, kSlots};
  at::Tensor keys_, values_;
};

TEST_F(PackedWindowTest, ChunksOlderThanTheNewestBlocksTakeTheirFormat) {
  Append(7);
  window_.Settle();
  EXPECT_EQ(Pages(), (std::vector<std::pair<KvFormat, int>>(7, {KvFormat::kBf16, kSlots})));
  EXPECT_EQ(window_.bytes(), 7 * (KvPageLayout{KvFormat::kBf16, kWidth, kSlots}.bytes()));
  Append(1);
  window_.Settle();
  std::vector<std::pair<KvFormat, int>> want(4, {KvFormat::kBf16, kSlots});
  want.insert(want.begin(), {KvFormat::kInt8, kChunkBlocks * kSlots});
  EXPECT_EQ(Pages(), want);
  EXPECT_EQ(window_.settled(), 1);
  EXPECT_EQ(window_.tokens(0), 8 * kSlots);
  EXPECT_EQ(window_.bytes(), 4 * (KvPageLayout{KvFormat::kBf16, kWidth, kSlots}.bytes()) +
                                 (KvPageLayout{KvFormat::kInt8, kWidth, 12}.bytes()));
}

TEST_F(PackedWindowTest, AChunkIsEncodedFromItsRoundedBlocks) {
  window_.Reset(20);
  Append(8);
  window_.Settle();
  const EncodedPage& page = window_.pages(0)[0];
  const auto rounded = [](const at::Tensor& x) {
    return x[0].narrow(0, 0, 12).to(torch::kBFloat16).to(torch::kFloat32).contiguous();
  };
  const at::Tensor k = rounded(keys_), v = rounded(values_);
  std::vector<std::byte> want(page.layout.bytes());
  EncodePage(page.layout, {k.data_ptr<float>(), 12 * kWidth}, {v.data_ptr<float>(), 12 * kWidth},
             12, want);
  EXPECT_EQ(std::memcmp(page.data, want.data(), want.size()), 0);
  for (int t = 0; t < 12; ++t) EXPECT_EQ(page.positions[t], 20 + t / kSlots);
  EXPECT_EQ(window_.pages(0)[1].positions[2], 24);
}

TEST_F(PackedWindowTest, TheOldestChunkLeavesWhateverItsAge) {
  Append(5);
  window_.SettleOldest();
  EXPECT_EQ(window_.settled(), 1);
  window_.DropOldest();
  EXPECT_EQ(window_.settled(), 0);
  EXPECT_EQ(window_.tokens(0), kSlots);
  EXPECT_EQ(window_.pages(0)[0].positions[0], 4);
  Append(1);
  EXPECT_EQ(window_.pages(0)[1].positions[0], 5);
}

TEST_F(PackedWindowTest, TakesBackOnlyWhatItCouldHold) {
  Append(9);
  window_.Settle();
  std::vector<std::vector<std::vector<uint8_t>>> saved(1);
  for (const EncodedPage& page : window_.pages(0)) {
    saved[0].emplace_back(page.data, page.data + page.layout.bytes());
  }
  PackedWindow other(KvFormat::kInt8, kWidth, 1, kChunkBlocks, kSlots);
  ASSERT_TRUE(other.Restore(0, 9, 1, saved));
  ASSERT_EQ(other.pages(0).size(), window_.pages(0).size());
  for (size_t i = 0; i < saved[0].size(); ++i) {
    EXPECT_EQ(std::memcmp(other.pages(0)[i].data, saved[0][i].data(), saved[0][i].size()), 0);
    EXPECT_EQ(other.pages(0)[i].positions[0], window_.pages(0)[i].positions[0]);
  }
  EXPECT_FALSE(other.Restore(0, 9, 3, saved));
  EXPECT_FALSE(other.Restore(0, 9, -1, saved));
  const float nan = std::nanf("");
  std::memcpy(saved[0][0].data() + KvPageLayout{KvFormat::kInt8, kWidth, 12}.key_scales(), &nan,
              sizeof(nan));
  EXPECT_FALSE(other.Restore(0, 9, 1, saved));
  EXPECT_TRUE(other.pages(0).empty());
}

}  // namespace
}  // namespace kvla

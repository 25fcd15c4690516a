// SPDX-License-Identifier: Apache-2.0
// How fast attention reads pages on a CUDA device, beside a plain copy in the same run. Prints a
// table; ends with 2 where there is no device.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <span>
#include <string>
#include <vector>

#include "base/rng.h"
#include "kv_efficient/cuda/cuda_attention.h"

namespace kvla {
namespace {

constexpr int kLanes = 64, kHeadDim = 128, kPageTokens = 64, kMostRows = 8, kTimes = 10;
constexpr double kGigabyte = 1e9;

// Milliseconds of one f(), the least of kTimes after one that is not counted.
template <class F>
Result<double> BestOf(const F& f) {
  CudaStopwatch watch;
  double best = INFINITY;
  for (int i = 0; i <= kTimes; ++i) {
    watch.Start();
    const Status status = f();
    if (!status.ok()) return status;
    const Result<double> ms = watch.Milliseconds();
    if (!ms.ok()) return ms.status();
    if (i > 0) best = std::min(best, *ms);
  }
  return best;
}

Result<double> CopyBytesPerSecond() {
  constexpr int64_t kBytes = 1'000'000'000;
  const Result<CudaBuffer> from = CudaBuffer::Make(kBytes), to = CudaBuffer::Make(kBytes);
  if (!from.ok()) return from.status();
  if (!to.ok()) return to.status();
  const Result<double> ms = BestOf([&] { return CopyOnDevice(to->data(), from->data(), kBytes); });
  if (!ms.ok()) return ms.status();
  return 2 * kBytes / (*ms / 1e3);  // each is read and written
}

// The same random page, over and over: a device cannot know.
Status FillWithPages(const KvPageLayout& layout, int64_t pages, const CudaBuffer& buffer) {
  Rng rng(1);
  std::vector<float> keys(static_cast<size_t>(kPageTokens) * kHeadDim), values(keys.size());
  for (float& x : keys) x = static_cast<float>(rng.Normal());
  for (float& x : values) x = static_cast<float>(rng.Normal());
  std::vector<std::byte> page(layout.bytes());
  EncodePage(layout, keys, values, kPageTokens, page);
  Status status = CopyToDevice(buffer.data(), page);
  for (int64_t done = 1; done < pages && status.ok(); done *= 2) {
    status = CopyOnDevice(buffer.data() + done * layout.bytes(), buffer.data(),
                          std::min(done, pages - done) * layout.bytes());
  }
  return status;
}

// Bytes of keys and values a second; rows as given.
Status Measure(KvFormat format, double gigabytes, double copy) {
  const KvPageLayout layout{format, kHeadDim, kPageTokens};
  const auto each = static_cast<int>(gigabytes * kGigabyte / kLanes / layout.bytes());
  const int64_t pages = int64_t{each} * kLanes;
  const Result<CudaBuffer> data = CudaBuffer::Make(pages * layout.bytes());
  const Result<CudaBuffer> list = CudaBuffer::Make(pages * static_cast<int64_t>(sizeof(KvPage)));
  constexpr int64_t kRowBytes = kHeadDim * sizeof(float);
  const Result<CudaBuffer> rows = CudaBuffer::Make(3 * kLanes * kMostRows * kRowBytes);
  const Result<CudaBuffer> lanes = CudaBuffer::Make(kLanes * sizeof(PagedLane));
  for (const Result<CudaBuffer>* buffer : {&data, &list, &rows, &lanes}) {
    if (!buffer->ok()) return buffer->status();
  }
  Status status = FillWithPages(layout, pages, *data);
  std::vector<KvPage> all(pages);
  for (int64_t i = 0; i < pages; ++i) {
    all[i] = {data->data() + i * layout.bytes(), nullptr, kPageTokens, format};
  }
  std::vector<float> numbers(rows->bytes() / sizeof(float), 0.01F);
  std::vector<PagedLane> lane_list;
  auto* on_device = reinterpret_cast<float*>(rows->data());
  for (int lane = 0; lane < kLanes; ++lane) {
    float* queries = on_device + int64_t{lane} * kMostRows * kHeadDim;
    float* out = queries + int64_t{kLanes} * kMostRows * kHeadDim;
    float* sums = on_device + int64_t{2} * kLanes * kMostRows * kHeadDim + lane * kMostRows;
    const KvPage* first = reinterpret_cast<const KvPage*>(list->data()) + int64_t{lane} * each;
    lane_list.push_back({first, each / 2, each - each / 2, queries, queries, out, sums});
  }
  if (status.ok()) status = CopyToDevice(list->data(), std::as_bytes(std::span(all)));
  if (status.ok()) status = CopyToDevice(rows->data(), std::as_bytes(std::span(numbers)));
  if (status.ok()) status = CopyToDevice(lanes->data(), std::as_bytes(std::span(lane_list)));
  if (!status.ok()) return status;
  CudaAttention attention;
  for (const int query_rows : {1, kMostRows}) {
    CudaAttentionCall call{.shape = {kHeadDim, kPageTokens, query_rows, format},
                           .lanes = reinterpret_cast<const PagedLane*>(lanes->data()),
                           .num_lanes = kLanes,
                           .most_pages = each,
                           .total_pages = pages};
    const Result<double> ms = BestOf([&] { return attention.Attend(call); });
    if (!ms.ok()) return ms.status();
    const double speed = static_cast<double>(data->bytes()) / (*ms / 1e3);
    std::printf("%-5s %6.0f %5d %12lld %9.3f %9.0f %7.0f%%\n", KvFormatName(format).data(),
                gigabytes, query_rows, static_cast<long long>(int64_t{each} * kPageTokens), *ms,
                speed / kGigabyte, 100 * speed / copy);
  }
  return {};
}

Status Run(const CudaDevice& device) {
  const Result<double> copy = CopyBytesPerSecond();
  if (!copy.ok()) return copy.status();
  std::printf(
      "%s, %d multiprocessors; a copy on the device moves %.0f GB/s (read and written)\n"
      "%d lanes, heads of %d, pages of %d tokens, half of them far\n\n",
      device.name.c_str(), device.multiprocessors, *copy / kGigabyte, kLanes, kHeadDim,
      kPageTokens);
  std::printf("pages     GB  rows  tokens/lane        ms      GB/s  of copy\n");
  for (const double gigabytes : {1.0, 4.0, 16.0}) {
    if (gigabytes * kGigabyte * 1.1 > static_cast<double>(device.free_bytes)) {
      std::printf("%.0f GB: left out, the device has %.0f GB free\n", gigabytes,
                  static_cast<double>(device.free_bytes) / kGigabyte);
      continue;
    }
    for (const KvFormat format : kKvFormats) {
      const Status status = Measure(format, gigabytes, *copy);
      if (!status.ok()) return status;
    }
  }
  return {};
}

}  // namespace
}  // namespace kvla

int main() {
  const kvla::Result<kvla::CudaDevice> device = kvla::FindCudaDevice();
  const kvla::Status status = device.ok() ? kvla::Run(*device) : device.status();
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.message().c_str());
  return status.ok() ? 0 : 2;
}

// SPDX-License-Identifier: Apache-2.0
#include "kv_efficient/store/chunk_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "tensors/torch.h"

namespace kvla {
namespace {

constexpr int64_t kValueBytes = sizeof(float);

// [kv_heads, n, head_dim] with a dense last dimension.
at::Tensor DenseRows(const at::Tensor& x) {
  TORCH_CHECK(x.scalar_type() == at::kFloat, "the cache holds f32, not ", x.scalar_type());
  return x.stride(-1) == 1 ? x : x.contiguous();
}

HeadRows RowsOf(const at::Tensor& dense) {
  return {dense.const_data_ptr<float>(), dense.stride(0), dense.stride(1)};
}

}  // namespace

Result<std::unique_ptr<ChunkStore>> ChunkStore::Create(const CacheGeometry& geometry,
                                                       int chunk_blocks,
                                                       std::shared_ptr<const RotaryTable> rotary,
                                                       at::Device device, KvFormat format,
                                                       std::shared_ptr<PagePool> pool) {
  if (Status s = ValidateCacheGeometry(geometry); !s.ok()) return s;
  if (format != KvFormat::kF32 && !device.is_cpu()) {
    return BadInput(
        fmt::format("storage {} is of the CPU: use f32 on {}", KvFormatName(format), device.str()));
  }
  if (pool == nullptr) pool = std::make_shared<PagePool>();
  std::unique_ptr<ChunkStore> store(
      new ChunkStore(geometry, chunk_blocks, std::move(rotary), device, format, std::move(pool)));
  const int64_t lanes = geometry.lanes(), width = geometry.head_dim;
  store->capacity_ = geometry.instruction_tokens +
                     static_cast<int64_t>(geometry.max_blocks) * geometry.tokens_per_block;
  if (store->encoded_) {
    // Nothing is mapped.
  } else if (device.is_cpu()) {
    const int64_t lane_bytes =
        (store->capacity_ * width * kValueBytes + kPageBytes - 1) / kPageBytes * kPageBytes;
    for (auto [slab, tensor] : {std::pair{&store->key_slab_, &store->keys_},
                                std::pair{&store->value_slab_, &store->values_}}) {
      if (Status s = slab->Map(lanes, lane_bytes, store->pool_.get()); !s.ok()) return s;
      *tensor = torch::from_blob(slab->data(), {lanes, store->capacity_, width},
                                 {lane_bytes / kValueBytes, width, 1}, torch::kFloat32);
    }
  } else {
    const auto options = torch::TensorOptions().dtype(torch::kFloat32).device(device);
    store->keys_ = torch::empty({lanes, store->capacity_, width}, options);
    store->values_ = torch::empty({lanes, store->capacity_, width}, options);
  }
  store->Reset();
  return store;
}

ChunkStore::ChunkStore(const CacheGeometry& geometry, int chunk_blocks,
                       std::shared_ptr<const RotaryTable> rotary, at::Device device,
                       KvFormat format, std::shared_ptr<PagePool> pool)
    : geometry_(geometry),
      chunk_blocks_(chunk_blocks),
      rotary_(std::move(rotary)),
      device_(device),
      format_(format),
      pool_(std::move(pool)) {
  if (format == KvFormat::kF32) return;
  encoded_.emplace(format, geometry.head_dim, geometry.lanes());
  window_.emplace(format, geometry.head_dim, geometry.lanes(), chunk_blocks,
                  geometry.tokens_per_block);
}

ChunkStore::~ChunkStore() = default;

void ChunkStore::Reset() {
  instruction_ = blocks_ = near_begin_block_ = 0;
  leaving_unrotated_ = false;
  transient_bytes_ = 0;
  appended_.assign(geometry_.layers, 0);
  instruction_appended_.assign(geometry_.layers, 0);
  far_.assign(1, {});
  leaving_keys_ = leaving_values_ = at::Tensor();
  UpdateIndex();
  if (encoded_) {
    encoded_->Reset();
    window_->Reset(0);
    return;
  }
  for (int lane = 0; cpu() && lane < geometry_.lanes(); ++lane) {
    key_slab_.Use(lane, 0, 0, 0);
    value_slab_.Use(lane, 0, 0, 0);
  }
}

int ChunkStore::near_begin() const {
  return instruction_ + near_begin_block_ * geometry_.tokens_per_block;
}

int ChunkStore::near_end(int layer) const {
  return instruction_ + appended_[layer] * geometry_.tokens_per_block;
}

Status ChunkStore::BeginInstruction(int layer, int tokens) {
  const bool first = std::none_of(instruction_appended_.begin(), instruction_appended_.end(),
                                  [](int done) { return done; });
  if (blocks_ > 0 || appended_[0] > 0 || instruction_appended_[layer]) {
    return InternalError("instruction tokens come once a layer and before the first block");
  }
  if (tokens > geometry_.instruction_tokens) {
    return BadInput(fmt::format("the instruction has {} tokens, the cache has room for {}", tokens,
                                geometry_.instruction_tokens));
  }
  if (!first && tokens != instruction_) {
    return InternalError(
        fmt::format("layer {} got {} instruction tokens, others {}", layer, tokens, instruction_));
  }
  if (first) {
    instruction_ = tokens;
    far_.assign(1, {});
    for (int i = 0; i < tokens; ++i) far_[0].push_back({.chunk = -1, .offset = i, .position = -1});
    UpdateIndex();
  }
  instruction_appended_[layer] = 1;
  return {};
}

void ChunkStore::GrowLayer(int layer, int64_t tokens) {
  const int64_t end = tokens * geometry_.head_dim * kValueBytes;
  for (int h = 0; h < geometry_.kv_heads; ++h) {
    key_slab_.Grow(layer * geometry_.kv_heads + h, end);
    value_slab_.Grow(layer * geometry_.kv_heads + h, end);
  }
}

Status ChunkStore::AppendInstruction(int layer, const at::Tensor& k, const at::Tensor& v) {
  const int n = static_cast<int>(k.size(1));
  if (cpu()) {
    const at::Tensor dense_k = DenseRows(k), dense_v = DenseRows(v);
    return AppendInstruction(layer, n, RowsOf(dense_k), RowsOf(dense_v));
  }
  if (Status s = BeginInstruction(layer, n); !s.ok()) return s;
  const int64_t lane = int64_t{layer} * geometry_.kv_heads;
  keys_.narrow(0, lane, geometry_.kv_heads).narrow(1, 0, n).copy_(k);
  values_.narrow(0, lane, geometry_.kv_heads).narrow(1, 0, n).copy_(v);
  return {};
}

Status ChunkStore::AppendInstruction(int layer, int tokens, const HeadRows& k, const HeadRows& v) {
  if (Status s = BeginInstruction(layer, tokens); !s.ok()) return s;
  if (encoded_) {
    const int run[] = {tokens};
    for (int h = 0; tokens > 0 && h < geometry_.kv_heads; ++h) {
      std::vector<FarSource> sources;
      for (int t = 0; t < tokens; ++t) {
        sources.push_back({.key = k.row(h, t), .value = v.row(h, t)});
      }
      encoded_->Rebuild(layer * geometry_.kv_heads + h, sources, run);
    }
    return {};
  }
  const int64_t width = geometry_.head_dim;
  for (int h = 0; h < geometry_.kv_heads; ++h) {
    const int64_t lane = (int64_t{layer} * geometry_.kv_heads + h) * keys_.stride(0);
    for (int t = 0; t < tokens; ++t) {
      std::memcpy(keys_.data_ptr<float>() + lane + t * width, k.row(h, t), width * kValueBytes);
      std::memcpy(values_.data_ptr<float>() + lane + t * width, v.row(h, t), width * kValueBytes);
    }
  }
  GrowLayer(layer, tokens);
  return {};
}

int ChunkStore::BeginAppend(int layer) {
  TORCH_CHECK(appended_[layer] == blocks_ && blocks_ < geometry_.max_blocks,
              "a block goes into each layer once, and the cache has room for ",
              geometry_.max_blocks);
  const int begin = near_end(layer);
  appended_[layer] = blocks_ + 1;
  return begin;
}

void ChunkStore::AppendBlock(int layer, const at::Tensor& k, const at::Tensor& v) {
  const int tokens = geometry_.tokens_per_block;
  TORCH_CHECK(k.dim() == 3 && k.size(0) == geometry_.kv_heads && k.size(1) == tokens &&
                  k.size(2) == geometry_.head_dim && v.sizes() == k.sizes(),
              "keys and values must be [", geometry_.kv_heads, ", ", tokens, ", ",
              geometry_.head_dim, "]");
  if (cpu()) {
    const at::Tensor dense_k = DenseRows(k), dense_v = DenseRows(v);
    AppendBlock(layer, RowsOf(dense_k), RowsOf(dense_v));
    return;
  }
  const int64_t lane = int64_t{layer} * geometry_.kv_heads, begin = BeginAppend(layer);
  const at::Tensor position = torch::full({1}, blocks_, torch::kInt64);
  keys_.narrow(0, lane, geometry_.kv_heads)
      .narrow(1, begin, tokens)
      .copy_(Rotate(k, *rotary_, position));
  values_.narrow(0, lane, geometry_.kv_heads).narrow(1, begin, tokens).copy_(v);
}

void ChunkStore::AppendBlock(int layer, const HeadRows& k, const HeadRows& v) {
  const int tokens = geometry_.tokens_per_block, width = geometry_.head_dim;
  const int begin = BeginAppend(layer);
  for (int h = 0; encoded_ && h < geometry_.kv_heads; ++h) {
    window_->Append(layer * geometry_.kv_heads + h, h, k, v);
  }
  if (encoded_) return;
  const float* cos = rotary_->cos(blocks_);
  const float* sin = rotary_->sin(blocks_);
  for (int h = 0; h < geometry_.kv_heads; ++h) {
    const int64_t at =
        (int64_t{layer} * geometry_.kv_heads + h) * keys_.stride(0) + int64_t{begin} * width;
    float* keys = keys_.data_ptr<float>() + at;
    float* values = values_.data_ptr<float>() + at;
    for (int t = 0; t < tokens; ++t, keys += width, values += width) {
      RotateRow(k.row(h, t), keys, cos, sin, width, 1);
      std::memcpy(values, v.row(h, t), width * kValueBytes);
    }
  }
  GrowLayer(layer, begin + tokens);
}

void ChunkStore::EndBlock() {
  for (const int appended : appended_) {
    TORCH_CHECK(appended == blocks_ + 1, "block ", blocks_, " is missing in a layer");
  }
  ++blocks_;
}

void ChunkStore::ReopenWindow() {
  blocks_ = near_begin_block_;
  appended_.assign(geometry_.layers, blocks_);
  if (encoded_) window_->Reset(blocks_);
}

void ChunkStore::SettleWindow() {
  if (encoded_) window_->Settle();
}

void ChunkStore::UnrotateLeaving() {
  if (!encoded_) return TurnLeaving(true);
  if (leaving_keys_.defined()) return;
  window_->SettleOldest();
  leaving_keys_ = torch::empty({geometry_.lanes(), chunk_tokens(), geometry_.head_dim});
  leaving_values_ = torch::empty_like(leaving_keys_);
  std::vector<float> keys, values;
  for (int lane = 0; lane < geometry_.lanes(); ++lane) {
    DecodeRows(window_->pages(lane)[0], &keys, &values);
    std::ranges::copy(keys, leaving_keys_[lane].data_ptr<float>());
    std::ranges::copy(values, leaving_values_[lane].data_ptr<float>());
  }
}

void ChunkStore::TurnLeaving(bool back) {
  if (leaving_unrotated_ == back) return;
  leaving_unrotated_ = back;
  const int tokens = geometry_.tokens_per_block, width = geometry_.head_dim;
  for (int b = 0; b < chunk_blocks_; ++b) {
    const int block = near_begin_block_ + b;
    const int64_t at = instruction_ + int64_t{block} * tokens;
    if (!cpu()) {
      const at::Tensor position = torch::full({1}, block, torch::kInt64);
      at::Tensor rows = keys_.narrow(1, at, tokens);
      rows.copy_(back ? RotateBack(rows, *rotary_, position) : Rotate(rows, *rotary_, position));
      continue;
    }
    for (int lane = 0; lane < geometry_.lanes(); ++lane) {
      float* row = keys_.data_ptr<float>() + lane * keys_.stride(0) + at * width;
      for (int t = 0; t < tokens; ++t, row += width) {
        RotateRow(row, row, rotary_->cos(block), rotary_->sin(block), width, back ? -1 : 1);
      }
    }
  }
}

at::Tensor ChunkStore::LeavingKeys() const {
  const std::array<int64_t, 2> lanes = {geometry_.layers, geometry_.kv_heads};
  if (encoded_) return leaving_keys_.unflatten(0, lanes);
  return keys_.narrow(1, near_begin(), chunk_tokens()).unflatten(0, lanes);
}

at::Tensor ChunkStore::LeavingValues() const {
  const std::array<int64_t, 2> lanes = {geometry_.layers, geometry_.kv_heads};
  if (encoded_) return leaving_values_.unflatten(0, lanes);
  return values_.narrow(1, near_begin(), chunk_tokens()).unflatten(0, lanes);
}

const std::vector<FarToken>& ChunkStore::far(int layer, int kv_head) const {
  return far_of(layer * geometry_.kv_heads + kv_head);
}

LaneView ChunkStore::View(const at::Tensor& bias, int lane, int lanes, int begin, int end) const {
  const int64_t width = geometry_.head_dim, stride = keys_.stride(0);
  const int64_t sizes[] = {1, lanes, end - begin, width};
  const int64_t strides[] = {stride * lanes, stride, width, 1};
  const int64_t offset = lane * stride + begin * width;
  return {keys_.as_strided(sizes, strides, offset), values_.as_strided(sizes, strides, offset),
          bias, end - begin};
}

LaneView ChunkStore::FarView(int layer) const {
  const int lane = layer * geometry_.kv_heads;
  return View(bias_[uniform() ? 0 : lane], lane, geometry_.kv_heads, 0,
              static_cast<int>(far_of(lane).size()));
}

LaneView ChunkStore::FarView(int layer, int kv_head) const {
  const int lane = layer * geometry_.kv_heads + kv_head;
  return View(bias_[uniform() ? 0 : lane], lane, 1, 0, static_cast<int>(far_of(lane).size()));
}

std::pair<at::Tensor, at::Tensor> ChunkStore::FarRows(int layer, int kv_head) const {
  const int lane = layer * geometry_.kv_heads + kv_head;
  const auto tokens = std::ssize(far_of(lane));
  if (!encoded_) {
    const at::Tensor keys = keys_.select(0, lane).narrow(0, 0, tokens);
    const at::Tensor values = values_.select(0, lane).narrow(0, 0, tokens);
    if (geometry_.clamps()) return {keys, values};
    std::vector<int64_t> blocks;
    for (const FarToken& token : far_of(lane)) blocks.push_back(token.block());
    return {RotateBack(keys, *rotary_, torch::tensor(blocks, torch::kInt64)), values};
  }
  at::Tensor keys = torch::empty({tokens, geometry_.head_dim}), values = torch::empty_like(keys);
  std::vector<float> page_keys, page_values;
  int64_t at = 0;
  for (const EncodedPage& page : encoded_->pages(lane)) {
    DecodeRows(page, &page_keys, &page_values);
    std::ranges::copy(page_keys, keys.data_ptr<float>() + at);
    std::ranges::copy(page_values, values.data_ptr<float>() + at);
    at += std::ssize(page_keys);
  }
  return {keys, values};
}

LaneView ChunkStore::NearView(int layer) const {
  return View({}, layer * geometry_.kv_heads, geometry_.kv_heads, near_begin(), near_end(layer));
}

LaneView ChunkStore::NearView(int layer, int kv_head) const {
  return View({}, layer * geometry_.kv_heads + kv_head, 1, near_begin(), near_end(layer));
}

KvRegion ChunkStore::Region(const at::Tensor& bias, int lane, int begin, int end) const {
  const int64_t offset = lane * keys_.stride(0) + int64_t{begin} * geometry_.head_dim;
  KvRegion region;
  region.keys = keys_.const_data_ptr<float>() + offset;
  region.values = values_.const_data_ptr<float>() + offset;
  if (bias.defined()) region.bias = bias.const_data_ptr<float>();
  region.tokens = end - begin;
  return region;
}

KvRegion ChunkStore::PackedRegion(std::span<const EncodedPage> pages, int tokens,
                                  bool rotated) const {
  KvRegion region;
  region.tokens = tokens;
  region.pages = pages.data();
  region.page_count = static_cast<int>(pages.size());
  region.scratch = encoded_->scratch();
  if (rotated) {
    region.cos = rotary_->cos(0);
    region.sin = rotary_->sin(0);
  }
  return region;
}

KvRegion ChunkStore::FarRegion(int layer, int kv_head) const {
  const int lane = layer * geometry_.kv_heads + kv_head;
  const int tokens = static_cast<int>(far_of(lane).size());
  const at::Tensor& bias = bias_[uniform() ? 0 : lane];
  if (!encoded_) return Region(bias, lane, 0, tokens);
  KvRegion region = PackedRegion(encoded_->pages(lane), tokens, !geometry_.clamps());
  if (bias.defined()) region.bias = bias.const_data_ptr<float>();
  return region;
}

KvRegion ChunkStore::NearRegion(int layer, int kv_head) const {
  const int lane = layer * geometry_.kv_heads + kv_head;
  if (!encoded_) return Region({}, lane, near_begin(), near_end(layer));
  return PackedRegion(window_->pages(lane), window_->tokens(lane), true);
}

int64_t ChunkStore::held_tokens() const {
  int64_t far = 0;
  for (int lane = 0; lane < geometry_.lanes(); ++lane) far += far_of(lane).size();
  return far +
         int64_t{geometry_.lanes()} * (blocks_ - near_begin_block_) * geometry_.tokens_per_block;
}

int64_t ChunkStore::live_bytes() const {
  if (encoded_) return encoded_->bytes() + window_->bytes();
  return held_tokens() * geometry_.head_dim * kValueBytes * 2;
}

int64_t ChunkStore::committed_bytes() const {
  if (encoded_) return live_bytes();
  if (!cpu()) return 2 * keys_.numel() * kValueBytes;
  return key_slab_.committed_bytes() + value_slab_.committed_bytes();
}

int64_t ChunkStore::ResidentBytes() const {
  return key_slab_.ResidentBytes() + value_slab_.ResidentBytes();
}

void ChunkStore::UpdateIndex() {
  bias_.assign(far_.size(), {});
  for (size_t i = 0; i < far_.size(); ++i) {
    const bool biased = std::ranges::any_of(
        far_[i], [](const FarToken& t) { return t.count != 1 || t.weight != 1; });
    if (!biased) continue;
    at::Tensor bias = torch::empty({1, 1, 1, static_cast<int64_t>(far_[i].size())});
    float* out = bias.data_ptr<float>();
    for (const FarToken& t : far_[i]) *out++ = std::log(static_cast<float>(t.count) * t.weight);
    bias_[i] = bias.to(device_);
  }
  // A layer takes one attention call when its lanes have the same length, counts and weights.
  layer_uniform_.assign(geometry_.layers, 1);
  if (uniform()) return;
  for (int lane = 0; lane < geometry_.lanes(); ++lane) {
    const auto& first = far_[lane / geometry_.kv_heads * geometry_.kv_heads];
    const bool same = std::ranges::equal(first, far_[lane], [](const auto& a, const auto& b) {
      return a.count == b.count && a.weight == b.weight;
    });
    if (!same) layer_uniform_[lane / geometry_.kv_heads] = 0;
  }
}

void ChunkStore::UpdatePages() {
  if (!cpu() || encoded_) return;
  const int64_t row = geometry_.head_dim * kValueBytes;
  for (int lane = 0; lane < geometry_.lanes(); ++lane) {
    const int64_t low = far_of(lane).size() * row;
    const int64_t end = near_end(lane / geometry_.kv_heads) * row;
    key_slab_.Use(lane, low, near_begin() * row, end);
    value_slab_.Use(lane, low, near_begin() * row, end);
  }
}

}  // namespace kvla

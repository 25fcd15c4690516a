// SPDX-License-Identifier: Apache-2.0
// KvCache: attention over both regions, and what each chunk received of it.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "kv_efficient/attention/fused_attention.h"
#include "kv_efficient/attention/ragged_attention.h"
#include "kv_efficient/kv_cache.h"
#include "tensors/torch.h"

namespace kvla {
namespace {

HeadRows RowsOf(const at::Tensor& x) {
  return {x.const_data_ptr<float>(), x.stride(0), x.stride(1)};
}

at::Tensor Dense(const at::Tensor& x) { return x.stride(-1) == 1 ? x : x.contiguous(); }

void CheckRows(const at::Tensor& x, const char* what, int heads, int tokens, int width) {
  TORCH_CHECK(x.dim() == 3 && x.size(0) == heads && x.size(1) == tokens && x.size(2) == width &&
                  x.scalar_type() == at::kFloat,
              what, " must be f32 [", heads, ", ", tokens, ", ", width, "]");
}

// Of all tokens what some of them received; what was not read received nothing.
std::vector<float> AtPlaces(std::span<const int64_t> places, const float* mass, size_t tokens) {
  std::vector<float> all(tokens, 0.0F);
  for (size_t i = 0; i < places.size(); ++i) all[places[i]] = mass[i];
  return all;
}

}  // namespace

// Transposed as ragged attention reads them, and scaled.
void KvCache::RotateQuery(const HeadRows& q, int tokens) {
  const int width = geometry_.head_dim, half = width / 2;
  const int stride = PaddedRows(geometry_.group() * tokens);
  const float scale = 1 / std::sqrt(static_cast<float>(width));
  const auto rotate = [&](int position, std::vector<float>* queries) {
    const float* cos = rotary_->cos(position);
    const float* sin = rotary_->sin(position);
    for (int head = 0; head < geometry_.heads; ++head) {
      float* out = queries->data() + int64_t{head / geometry_.group()} * width * stride +
                   head % geometry_.group() * tokens;
      for (int t = 0; t < tokens; ++t, ++out) {
        const float* row = q.row(head, t);
        for (int i = 0; i < half; ++i) {
          const float a = row[i] * scale, b = row[i + half] * scale;
          out[i * stride] = a * cos[i] - b * sin[i];
          out[(i + half) * stride] = b * cos[i] + a * sin[i];
        }
      }
    }
  };
  rotate(blocks(), &near_queries_);
  if (geometry_.clamps()) {
    rotate(geometry_.age_clamp_blocks, &far_queries_);
  } else {
    far_queries_ = near_queries_;
  }
}

void KvCache::Attend(int layer, const HeadRows& q, const HeadRows& k, const HeadRows& v,
                     float* out) {
  AttendSegments(layer, q, k, v, {&geometry_.tokens_per_block, 1}, out);
}

void KvCache::AttendSegments(int layer, const HeadRows& q, const HeadRows& k, const HeadRows& v,
                             std::span<const int> segments, float* out) {
  const Stopwatch timer(clock_, &stats_.cost.latency.attend_ms);
  TORCH_CHECK(in_block_ && device_.is_cpu(),
              "Attend needs BeginBlock, and rows a cache on the CPU");
  store_->AppendBlock(layer, k, v);
  if (policy_->needs().queries) TellQueries(layer, q);
  int first = 0;
  for (const int tokens : segments) {
    const HeadRows rows{q.row(0, first), q.head_stride, q.token_stride};
    const int hidden = geometry_.tokens_per_block - first - tokens;
    AttendSpan(layer, {.rows = rows, .tokens = tokens, .hidden = hidden},
               out + int64_t{first} * geometry_.heads * geometry_.head_dim, nullptr);
    first += tokens;
  }
}

void KvCache::AttendSpan(int layer, const QuerySpan& q, float* out, float* log_sum_exp) {
  if (q.tokens != buffer_tokens_) MakeBuffers(q.tokens);
  RotateQuery(q.rows, q.tokens);
  const int width = geometry_.head_dim, tokens = q.tokens;
  const int rows = geometry_.group() * tokens, stride = PaddedRows(rows);
  const bool selects = policy_->needs().selects;
  for (int head = 0; head < geometry_.kv_heads; ++head) {
    AttentionJob job;
    job.far = store_->FarRegion(layer, head);
    job.near = Shortened(store_->NearRegion(layer, head), q.hidden);
    job.far.queries = far_queries_.data() + int64_t{head} * width * stride;
    job.near.queries = near_queries_.data() + int64_t{head} * width * stride;
    std::vector<int64_t> places;
    if (selects) {
      const int lane = layer * geometry_.kv_heads + head;
      places = SelectFar(lane, {job.far.queries, rows, stride});
      job.far = Narrowed(job.far, places);
    }
    const int64_t met = job.far.tokens + job.near.tokens;
    if (!q.beside) read_tokens_ += met * tokens;
    job.head_dim = width;
    job.rows = rows;
    job.out = attended_.data();
    job.log_sum_exp = log_sum_exp_.data();
    CpuAttention().attend(job);
    for (int g = 0; g < geometry_.group(); ++g) {
      const int of = head * geometry_.group() + g;
      for (int t = 0; t < tokens; ++t) {
        const float* from = attended_.data() + g * tokens + t;
        float* to = out + (int64_t{t} * geometry_.heads + of) * width;
        for (int d = 0; d < width; ++d) to[d] = from[d * stride];
      }
      if (log_sum_exp != nullptr) {
        std::copy_n(log_sum_exp_.data() + g * tokens, tokens, log_sum_exp + int64_t{of} * tokens);
      }
    }
    if (!q.beside && wants_mass()) MeasureMass(layer, head, job, places);
  }
}

void KvCache::MeasureMass(int layer, int head, const AttentionJob& job,
                          const std::vector<int64_t>& places) {
  double took_ms = 0;
  {
    const Stopwatch report(clock_, &took_ms);
    for (const bool far : {false, true}) {
      const KvRegion& region = far ? job.far : job.near;
      key_mass_.resize(region.tokens);
      CpuAttention().key_mass(region, job.head_dim, job.rows, log_sum_exp_.data(),
                              key_mass_.data());
      if (far && policy_->needs().selects) {
        key_mass_ = AtPlaces(places, key_mass_.data(), store_->far(layer, head).size());
      }
      AddMass(layer, head, far, key_mass_);
    }
  }
  if (!mass_) stats_.report_ms += took_ms;
}

at::Tensor KvCache::Attend(int layer, const at::Tensor& q, const at::Tensor& k,
                           const at::Tensor& v) {
  return Attend(layer, q, k, v, {&geometry_.tokens_per_block, 1});
}

at::Tensor KvCache::Attend(int layer, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                           std::span<const int> segments) {
  c10::InferenceMode inference;
  TORCH_CHECK(in_block_, "Attend needs BeginBlock");
  const int tokens = geometry_.tokens_per_block;
  const bool asks = q.dim() != 3 || q.size(1) > 0;
  CheckRows(q, "queries", geometry_.heads, asks ? tokens : 0, geometry_.head_dim);
  CheckRows(k, "keys", geometry_.kv_heads, tokens, geometry_.head_dim);
  CheckRows(v, "values", geometry_.kv_heads, tokens, geometry_.head_dim);
  int sum = 0;
  for (const int n : segments) {
    TORCH_CHECK(n > 0 && n <= tokens - sum, "segments of a block add up to ", tokens);
    sum += n;
  }
  TORCH_CHECK(sum == tokens, "segments of a block add up to ", tokens);
  if (!asks) {
    const Stopwatch timer(clock_, &stats_.cost.latency.attend_ms);
    store_->AppendBlock(layer, k, v);
    return torch::empty_like(q);
  }
  if (!device_.is_cpu()) {
    TORCH_CHECK(segments.size() == 1, "several segments need a cache on the CPU");
    return AttendOnDevice(layer, q, k, v);
  }
  const at::Tensor dense_q = Dense(q), dense_k = Dense(k), dense_v = Dense(v);
  // Laid out [tokens, heads, head_dim], as the output projection reads it.
  at::Tensor out = torch::empty({tokens, geometry_.heads, geometry_.head_dim}, q.options());
  AttendSegments(layer, RowsOf(dense_q), RowsOf(dense_k), RowsOf(dense_v), segments,
                 out.data_ptr<float>());
  return out.transpose(0, 1);
}

AttendedRows KvCache::Query(int layer, const at::Tensor& q) {
  c10::InferenceMode inference;
  TORCH_CHECK(in_block_ && device_.is_cpu(), "Query needs BeginBlock, and a cache on the CPU");
  TORCH_CHECK(q.dim() == 3 && q.size(1) > 0, "queries must be [heads, n, head_dim]");
  const int tokens = static_cast<int>(q.size(1));
  CheckRows(q, "queries", geometry_.heads, tokens, geometry_.head_dim);
  const Stopwatch timer(clock_, &stats_.cost.latency.attend_ms);
  const at::Tensor dense = Dense(q);
  at::Tensor out = torch::empty({tokens, geometry_.heads, geometry_.head_dim}, q.options());
  at::Tensor log_sum_exp = torch::empty({geometry_.heads, tokens}, q.options());
  AttendSpan(layer, {.rows = RowsOf(dense), .tokens = tokens, .beside = true},
             out.data_ptr<float>(), log_sum_exp.data_ptr<float>());
  return {out.transpose(0, 1), log_sum_exp};
}

std::pair<at::Tensor, at::Tensor> KvCache::SeenRows(int layer) const {
  c10::InferenceMode inference;
  TORCH_CHECK(
      in_block_ && device_.is_cpu() && store_->format() == KvFormat::kF32 && store_->uniform(layer),
      "rows are seen in a block, in f32 on the CPU, of lanes that hold the same tokens");
  const LaneView far = store_->FarView(layer), near = store_->NearView(layer);
  TORCH_CHECK(!far.bias.defined(), "summaries stand for several tokens, rows for one");
  const auto seen = [&](const at::Tensor& keys, int turned) {
    return RotateBack(keys[0], *rotary_, torch::full({1}, turned, torch::kInt64));
  };
  // Far keys keep their own block's turn, or have none.
  const int far_turn = geometry_.clamps() ? geometry_.age_clamp_blocks : blocks();
  return {torch::cat({seen(far.keys, far_turn), seen(near.keys, blocks())}, 1),
          torch::cat({far.values[0], near.values[0]}, 1)};
}

at::Tensor KvCache::AttendOnDevice(int layer, const at::Tensor& q, const at::Tensor& k,
                                   const at::Tensor& v) {
  const Stopwatch timer(clock_, &stats_.cost.latency.attend_ms);
  store_->AppendBlock(layer, k, v);
  if (policy_->needs().queries) TellQueries(layer, RowsOf(q.cpu().contiguous()));
  const auto rotated = [&](int p) {  // [1, kv_heads, group * T, head_dim]
    const at::Tensor position = torch::full({1}, p, torch::kInt64);
    return Rotate(q, *rotary_, position).reshape({1, geometry_.kv_heads, -1, geometry_.head_dim});
  };
  const at::Tensor near_query = rotated(blocks());
  const at::Tensor far_query =
      geometry_.clamps() ? rotated(geometry_.age_clamp_blocks) : near_query;
  at::Tensor out =
      torch::empty({geometry_.tokens_per_block, geometry_.heads, geometry_.head_dim}, q.options());
  // Lanes of one length: one call a region for the whole layer; else one for each KV head.
  const bool selects = policy_->needs().selects;
  const bool together = store_->uniform(layer) && !selects;
  const int step = together ? geometry_.kv_heads : 1;
  for (int h = 0; h < geometry_.kv_heads; h += step) {
    const LaneView near = together ? store_->NearView(layer) : store_->NearView(layer, h);
    LaneView far = together ? store_->FarView(layer) : store_->FarView(layer, h);
    std::vector<int64_t> places;
    if (selects) {
      places = SelectOnDevice(layer * geometry_.kv_heads + h, far_query.select(1, h)[0], &far);
    }
    read_tokens_ += int64_t{step} * (far.tokens + near.tokens) * geometry_.tokens_per_block;
    const Attended a = FusedAttention(near_query.narrow(1, h, step), near);
    Attended b;
    if (far.tokens > 0) b = FusedAttention(far_query.narrow(1, h, step), far);
    MergeAttended(a, b, h, geometry_.group(), &out);
    if (!wants_mass()) continue;
    double took_ms = 0;
    {
      const Stopwatch report(clock_, &took_ms);
      const at::Tensor lse = b.out.defined() ? torch::logaddexp(a.lse, b.lse) : a.lse;
      for (const bool is_far : {false, true}) {
        const LaneView& view = is_far ? far : near;
        if (view.tokens == 0) continue;
        const at::Tensor& query = is_far ? far_query : near_query;
        const at::Tensor mass = KeyMass(query.narrow(1, h, step), view, lse)
                                    .to(torch::kCPU, torch::kFloat32)
                                    .contiguous();
        const float* m = mass.const_data_ptr<float>();
        if (is_far && selects) {
          AddMass(layer, h, true, AtPlaces(places, m, store_->far(layer, h).size()));
          continue;
        }
        for (int i = 0; i < step; ++i, m += view.tokens) {
          AddMass(layer, h + i, is_far, {m, static_cast<size_t>(view.tokens)});
        }
      }
    }
    if (!mass_) stats_.report_ms += took_ms;
  }
  return out.transpose(0, 1);
}

std::vector<int64_t> KvCache::SelectFar(int lane, const FarQueries& q) {
  double took_ms = 0;
  std::vector<int64_t> places;
  {
    const Stopwatch timer(clock_, &took_ms);
    const std::vector<FarToken>& far = FarOf(lane);
    std::vector<int> chunks;
    policy_->SelectChunks(lane, q, &chunks);
    for (size_t i = 0; i < far.size(); ++i) {
      if (far[i].chunk < 0 || std::ranges::binary_search(chunks, far[i].chunk)) {
        places.push_back(static_cast<int64_t>(i));
      }
    }
  }
  stats_.cost.latency.gate_ms += took_ms;
  stats_.cost.latency.attend_ms -= took_ms;  // whose stopwatch runs
  return places;
}

std::vector<int64_t> KvCache::SelectOnDevice(int lane, const at::Tensor& query, LaneView* far) {
  const at::Tensor rows = (query / std::sqrt(geometry_.head_dim))
                              .t()
                              .to(torch::kCPU, torch::kFloat32)
                              .contiguous();  // [head_dim, rows]
  const int count = static_cast<int>(rows.size(1));
  std::vector<int64_t> places = SelectFar(lane, {rows.const_data_ptr<float>(), count, count});
  const at::Tensor index = torch::tensor(places, torch::kInt64).to(device_);
  far->keys = far->keys.index_select(2, index);
  far->values = far->values.index_select(2, index);
  if (far->bias.defined()) far->bias = far->bias.index_select(3, index);
  far->tokens = static_cast<int>(places.size());
  return places;
}

KvRegion KvCache::Shortened(const KvRegion& near, int hidden) {
  KvRegion region = near;
  if (hidden == 0) return region;
  region.tokens -= hidden;
  if (near.page_count == 0) return region;
  shortened_pages_.assign(near.pages, near.pages + near.page_count);
  shortened_pages_.back().tokens -= hidden;  // the current block is a page of its own
  region.pages = shortened_pages_.data();
  return region;
}

KvRegion KvCache::Narrowed(const KvRegion& far, std::span<const int64_t> places) {
  KvRegion region = far;
  region.tokens = static_cast<int>(places.size());
  if (far.bias != nullptr) {
    selected_bias_.clear();
    for (const int64_t place : places) selected_bias_.push_back(far.bias[place]);
    region.bias = selected_bias_.data();
  }
  if (far.page_count > 0) {  // a chunk's tokens are whole pages
    selected_pages_.clear();
    size_t begin = 0, next = 0;
    for (const EncodedPage& page : std::span(far.pages, far.page_count)) {
      if (next < places.size() && places[next] == static_cast<int64_t>(begin)) {
        selected_pages_.push_back(page);
        next += page.tokens;
      }
      begin += page.tokens;
    }
    region.pages = selected_pages_.data();
    region.page_count = static_cast<int>(selected_pages_.size());
    return region;
  }
  const int64_t width = geometry_.head_dim;
  selected_keys_.resize(places.size() * width);
  selected_values_.resize(places.size() * width);
  for (size_t i = 0; i < places.size(); ++i) {
    std::memcpy(&selected_keys_[i * width], far.keys + places[i] * width, width * sizeof(float));
    std::memcpy(&selected_values_[i * width], far.values + places[i] * width,
                width * sizeof(float));
  }
  region.keys = selected_keys_.data();
  region.values = selected_values_.data();
  return region;
}

void KvCache::TellQueries(int layer, const HeadRows& q) {
  double took_ms = 0;
  {
    const Stopwatch timer(clock_, &took_ms);
    policy_->OnQueries(layer, q);
  }
  stats_.cost.latency.gate_ms += took_ms;
  stats_.cost.latency.attend_ms -= took_ms;  // whose stopwatch runs
}

void KvCache::AddMass(int layer, int head, bool far, std::span<const float> mass) {
  const auto queries = static_cast<float>(geometry_.heads * geometry_.tokens_per_block);
  float* row = report_ ? &received_[layer * (1 + chunks_.size())] : nullptr;
  const std::vector<FarToken>& far_tokens = store_->far(layer, head);
  if (mass_) {
    mass_->Add(layer * geometry_.kv_heads + head, far ? 0 : static_cast<int>(far_tokens.size()),
               mass);
  }
  for (size_t t = 0; report_ && t < mass.size(); ++t) {
    const int chunk = far ? far_tokens[t].chunk
                          : schedule_.ChunkOf(store_->near_begin_block() +
                                              static_cast<int>(t) / geometry_.tokens_per_block);
    row[1 + chunk] += mass[t] / queries;
  }
}

}  // namespace kvla

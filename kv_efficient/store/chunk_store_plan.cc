// SPDX-License-Identifier: Apache-2.0
// ChunkStore: applying plans.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <tuple>

#include "kv_efficient/chunk_summary.h"
#include "kv_efficient/store/chunk_store.h"
#include "tensors/floats.h"
#include "tensors/torch.h"

namespace kvla {
namespace {

constexpr int64_t kValueBytes = sizeof(float);

// What one lane is to hold of a decided chunk.
ChunkCut CutOf(const Plan& plan, const ChunkDecision& decision, int lane, int chunk_tokens) {
  if (!plan.lanes.empty()) {
    for (const ChunkCut& cut : plan.lanes[lane].cuts) {
      if (cut.chunk == decision.chunk) return cut;
    }
  }
  ChunkCut cut;
  cut.chunk = decision.chunk;
  if (decision.action == ChunkAction::kWhole) cut.keep = {{0, chunk_tokens}};
  if (decision.action == ChunkAction::kCompressed) cut.summarize = SummaryKind::kSlots;
  return cut;
}

// A far token and where it lies in the slab.
struct Source {
  FarToken token;
  int at = 0;
};

}  // namespace

Status ChunkStore::CheckPlan(const Plan& plan) const {
  const int leaving = near_begin_block_ / chunk_blocks_;
  if (blocks_ < near_begin_block_ + chunk_blocks_) {
    return InternalError("a plan came before the oldest chunk was complete");
  }
  if (!plan.lanes.empty() && static_cast<int>(plan.lanes.size()) != geometry_.lanes()) {
    return InternalError(
        fmt::format("the plan has {} lanes, the cache {}", plan.lanes.size(), geometry_.lanes()));
  }
  std::vector<int> decided;
  for (const ChunkDecision& d : plan.decisions) {
    if (d.chunk < 0 || d.chunk > leaving || d.action == ChunkAction::kWindow) {
      return InternalError(fmt::format("the plan decides chunk {} ({}); {} is the one that leaves",
                                       d.chunk, ActionName(d.action), leaving));
    }
    if (!std::isfinite(d.score)) {
      return InternalError(
          fmt::format("the plan scores chunk {} {}: a score is a finite number", d.chunk, d.score));
    }
    decided.push_back(d.chunk);
  }
  std::sort(decided.begin(), decided.end());
  if (std::adjacent_find(decided.begin(), decided.end()) != decided.end()) {
    return InternalError("the plan decides a chunk twice");
  }
  if (decided.empty() || decided.back() != leaving) {
    return InternalError(fmt::format("the plan does not decide chunk {}, which leaves", leaving));
  }
  for (const LanePlan& lane : plan.lanes) {
    for (const ChunkCut& cut : lane.cuts) {
      if (!std::binary_search(decided.begin(), decided.end(), cut.chunk)) {
        return InternalError(fmt::format("the plan cuts chunk {} without deciding it", cut.chunk));
      }
      int kept = 0, last = 0;
      for (const TokenRange& range : cut.keep) {
        if (range.begin < last || range.end < range.begin || range.end > chunk_tokens()) {
          return InternalError(fmt::format("chunk {}: kept ranges must ascend within [0, {})",
                                           cut.chunk, chunk_tokens()));
        }
        kept += range.end - range.begin;
        last = range.end;
      }
      if (cut.summarize != SummaryKind::kNone &&
          kept + summary_tokens(cut.summarize) > chunk_tokens()) {
        return InternalError(fmt::format(
            "chunk {}: its kept tokens and summaries are more than its tokens", cut.chunk));
      }
    }
  }
  return {};
}

// Writes the lane's new list of tokens from the old one, and how rows have to move for it. Old
// chunks keep their order; a decided one gives only what its cut names, of what it still holds; the
// leaving chunk comes last, from the window. Moves only ever go down, so that they can be applied
// in order without a second slab. A cut that asks for tokens that are gone is the method's mistake.
Status ChunkStore::MakeLane(const Plan& plan, int lane, std::vector<FarToken>* tokens,
                            std::vector<Move>* moves) const {
  const int leaving = near_begin_block_ / chunk_blocks_, slots = geometry_.tokens_per_block;
  const std::vector<FarToken>& old = far_of(lane);
  const auto put = [&](int from, const FarToken& token) {
    const int to = static_cast<int>(tokens->size());
    tokens->push_back(token);
    if (!moves->empty() && moves->back().summary == SummaryKind::kNone &&
        moves->back().from + moves->back().count == from &&
        moves->back().to + moves->back().count == to) {
      ++moves->back().count;
    } else {
      moves->push_back({from, to, 1});
    }
  };
  const auto cut_chunk = [&](const ChunkDecision& decision,
                             const std::vector<Source>& held) -> Status {
    const ChunkCut cut = CutOf(plan, decision, lane, chunk_tokens());
    const auto gone = [&] {
      return InternalError(fmt::format(
          "the plan wants tokens of chunk {} that are gone from lane {}", cut.chunk, lane));
    };
    size_t i = 0;
    for (const TokenRange& range : cut.keep) {
      for (int offset = range.begin; offset < range.end; ++offset) {
        while (i < held.size() && (!held[i].token.original() || held[i].token.offset < offset)) ++i;
        if (i == held.size() || held[i].token.offset != offset) return gone();
        put(held[i].at, held[i].token);
      }
    }
    if (cut.summarize == SummaryKind::kNone) return {};
    const int summaries = summary_tokens(cut.summarize);
    std::vector<Source> same, originals;
    for (const Source& s : held) {
      if (s.token.original()) originals.push_back(s);
      if (s.token.summary == cut.summarize) same.push_back(s);
    }
    if (std::ssize(same) == summaries) {
      for (const Source& s : same) put(s.at, s.token);
      return {};
    }
    if (static_cast<int>(originals.size()) != chunk_tokens()) return gone();
    moves->push_back(
        {originals[0].at, static_cast<int>(tokens->size()), summaries, cut.summarize, cut.chunk});
    const int first = cut.chunk * chunk_blocks_;
    const float mean = first + 0.5f * (chunk_blocks_ - 1);
    for (int i = 0; i < summaries; ++i) {
      const bool frame = cut.summarize == SummaryKind::kFrames;
      tokens->push_back({cut.chunk, i, frame ? slots : chunk_blocks_,
                         frame ? static_cast<float>(first + i) : mean, cut.summarize});
    }
    return {};
  };

  const ChunkDecision* last = nullptr;
  for (size_t begin = 0; begin < old.size();) {  // runs of one chunk
    size_t end = begin;
    while (end < old.size() && old[end].chunk == old[begin].chunk) ++end;
    const ChunkDecision* decision = nullptr;
    for (const ChunkDecision& d : plan.decisions) {
      if (d.chunk == old[begin].chunk) decision = &d;
    }
    std::vector<Source> held;
    for (size_t i = begin; i < end; ++i) held.push_back({old[i], static_cast<int>(i)});
    if (decision != nullptr) {
      if (Status s = cut_chunk(*decision, held); !s.ok()) return s;
    } else {
      for (const Source& s : held) put(s.at, s.token);
    }
    begin = end;
  }
  for (const ChunkDecision& d : plan.decisions) {
    if (d.chunk == leaving) {
      last = &d;
      continue;
    }
    const bool held =
        std::any_of(old.begin(), old.end(), [&](const FarToken& t) { return t.chunk == d.chunk; });
    const ChunkCut cut = CutOf(plan, d, lane, chunk_tokens());
    if (!held && (cut.summarize != SummaryKind::kNone || !cut.keep.empty())) {
      return InternalError(
          fmt::format("the plan wants chunk {} back, which is gone from lane {}", d.chunk, lane));
    }
  }
  std::vector<Source> held;
  for (int offset = 0; offset < chunk_tokens(); ++offset) {
    const int place = leaving * chunk_blocks_ + offset / slots;
    const auto block = static_cast<float>(place);
    held.push_back({{leaving, offset, 1, block}, near_begin() + offset});
  }
  return cut_chunk(*last, held);
}

int ChunkStore::summary_tokens(SummaryKind kind) const {
  return kind == SummaryKind::kFrames ? chunk_blocks_ : geometry_.tokens_per_block;
}

at::Tensor ChunkStore::SummarizeValues(const at::Tensor& values, SummaryKind kind) const {
  const int slots = geometry_.tokens_per_block;
  return kind == SummaryKind::kFrames ? SummarizeFrames(values, slots)
                                      : SummarizeChunk(values, chunk_blocks_, slots);
}

at::Tensor ChunkStore::SummarizeKeys(const at::Tensor& keys, int chunk, SummaryKind kind) const {
  const int slots = geometry_.tokens_per_block;
  // The tokens of a block are turned alike.
  if (kind == SummaryKind::kFrames) return SummarizeFrames(keys, slots);
  if (geometry_.clamps()) return SummarizeChunk(keys, chunk_blocks_, slots);
  const int first = chunk * chunk_blocks_;
  const at::Tensor unrotated =
      RotateBack(keys, *rotary_, TokenPositions(first, chunk_blocks_, slots));
  const at::Tensor middle = torch::full({1}, first + (chunk_blocks_ - 1) / 2, torch::kInt64);
  return Rotate(SummarizeChunk(unrotated, chunk_blocks_, slots), *rotary_, middle);
}

void ChunkStore::ApplyMoves(const std::vector<Move>& moves, int lane, int lanes, at::Tensor* slab) {
  const at::Tensor rows = slab->narrow(0, lane, lanes);
  // Summaries first: their sources may be overwritten by the moves.
  std::vector<at::Tensor> summaries;
  int64_t bytes = 0;
  for (const Move& m : moves) {
    if (m.summary == SummaryKind::kNone) continue;
    const at::Tensor chunk = rows.narrow(1, m.from, chunk_tokens());
    summaries.push_back(slab == &keys_ ? SummarizeKeys(chunk, m.chunk, m.summary)
                                       : SummarizeValues(chunk, m.summary));
    bytes += summaries.back().numel() * kValueBytes;
  }
  transient_bytes_ = std::max(transient_bytes_, bytes);
  size_t next = 0;
  for (const Move& m : moves) {
    if (m.summary != SummaryKind::kNone) {
      rows.narrow(1, m.to, m.count).copy_(summaries[next++]);
    } else if (m.from != m.to && cpu()) {
      const int64_t width = geometry_.head_dim;
      for (int i = 0; i < lanes; ++i) {
        float* base = slab->data_ptr<float>() + (lane + i) * slab->stride(0);
        std::memmove(base + m.to * width, base + m.from * width, m.count * width * kValueBytes);
      }
    } else if (m.from != m.to) {
      rows.narrow(1, m.to, m.count).copy_(rows.narrow(1, m.from, m.count).clone());
    }
  }
}

std::vector<int> PageRuns(std::span<const FarToken> tokens) {
  std::vector<int> runs;
  for (size_t i = 0; i < tokens.size(); ++i) {
    const bool same = i > 0 && tokens[i].chunk == tokens[i - 1].chunk &&
                      tokens[i].summary == tokens[i - 1].summary;
    if (same) {
      ++runs.back();
    } else {
      runs.push_back(1);
    }
  }
  return runs;
}

FarSource ChunkStore::SourceAt(int lane, int at) const {
  FarSource source;
  if (at < encoded_->tokens(lane)) {
    std::tie(source.page, source.row) = encoded_->RowOf(lane, at);
  } else {
    source.page = window_->pages(lane).data();
    source.row = at - near_begin();
  }
  return source;
}

// A run of one chunk's kept tokens, or of its summaries, becomes one page. Rows of pages are copied
// as they are encoded; every summary comes as f32, and so does what is fitted.
void ChunkStore::Encode(const std::vector<FarToken>& tokens, const std::vector<Move>& moves,
                        int lane, const LaneFit* fit) {
  const int width = geometry_.head_dim;
  std::vector<FarSource> sources(tokens.size());
  std::vector<std::vector<float>> means;  // that sources point into
  for (const Move& move : moves) {
    if (move.summary == SummaryKind::kNone) {
      for (int i = 0; i < move.count; ++i) {
        sources[move.to + i] = SourceAt(lane, move.from + i);
        sources[move.to + i].position = tokens[move.to + i].block();
      }
      continue;
    }
    // A whole chunk is one page, as it would be read.
    std::array<std::vector<float>, 2> rows;
    DecodeRows(*SourceAt(lane, move.from).page, &rows[0], &rows[1]);
    for (std::vector<float>& from : rows) {
      const at::Tensor chunk =
          torch::from_blob(from.data(), {chunk_tokens(), width}, torch::kFloat32);
      means.push_back(FloatsOf(SummarizeValues(chunk, move.summary)));
    }
    transient_bytes_ = std::max(transient_bytes_, int64_t{2} * move.count * width * kValueBytes);
    const std::vector<float>& key = means[means.size() - 2];
    const std::vector<float>& value = means.back();
    for (int i = 0; i < move.count; ++i) {
      sources[move.to + i] = {.position = tokens[move.to + i].block(),
                              .key = key.data() + int64_t{i} * width,
                              .value = value.data() + int64_t{i} * width};
    }
  }
  std::vector<std::vector<float>> fitted;  // keys as they were read
  for (size_t i = instruction_; fit != nullptr && i < sources.size(); ++i) {
    FarSource& source = sources[i];
    if (source.page != nullptr) {
      std::vector<float> keys, values;
      DecodeRows(*source.page, &keys, &values);
      const auto row = keys.begin() + int64_t{source.row} * width;
      source.key = fitted.emplace_back(row, row + width).data();
      source.page = nullptr;
    }
    source.value = fit->values.data() + (static_cast<int64_t>(i) - instruction_) * width;
  }
  encoded_->Rebuild(lane, sources, PageRuns(tokens));
}

Status ChunkStore::CheckFit(const LaneFit& fit, size_t tokens) const {
  const auto finite = [](float x) { return std::isfinite(x); };
  const size_t fitted = tokens - instruction_;
  if (fit.weights.size() != fitted || fit.values.size() != fitted * geometry_.head_dim) {
    return InternalError(fmt::format("the plan fits {} weights and {} values to {} tokens of {}",
                                     fit.weights.size(), fit.values.size(), fitted,
                                     geometry_.head_dim));
  }
  if (!std::ranges::all_of(fit.weights, [&](float w) { return finite(w) && w > 0; }) ||
      !std::ranges::all_of(fit.values, finite)) {
    return InternalError("the plan fits weights or values that are not finite, or weights below 0");
  }
  return {};
}

void ChunkStore::ApplyFit(const LaneFit& fit, int lane, std::vector<FarToken>* tokens) {
  for (size_t i = 0; i < fit.weights.size(); ++i) {
    (*tokens)[instruction_ + i].weight = fit.weights[i];
  }
  if (encoded_ || fit.weights.empty()) return;
  const auto count = static_cast<int64_t>(fit.weights.size());
  const at::Tensor values = torch::tensor(fit.values).view({count, geometry_.head_dim});
  values_.select(0, lane).narrow(0, instruction_, count).copy_(values);
}

Status ChunkStore::Apply(const Plan& plan) {
  if (Status s = CheckPlan(plan); !s.ok()) return s;
  transient_bytes_ = 0;
  const bool together = uniform() && plan.lanes.empty();
  const int lists = together ? 1 : geometry_.lanes();
  std::vector<std::vector<FarToken>> tokens(lists);
  std::vector<std::vector<Move>> moves(lists);
  for (int lane = 0; lane < lists; ++lane) {
    if (Status s = MakeLane(plan, lane, &tokens[lane], &moves[lane]); !s.ok()) return s;
    if (together || plan.lanes.empty() || !plan.lanes[lane].fit) continue;
    if (Status s = CheckFit(*plan.lanes[lane].fit, tokens[lane].size()); !s.ok()) return s;
  }
  const int leaving = near_begin_block_ / chunk_blocks_;
  const bool kept = std::any_of(tokens.begin(), tokens.end(), [&](const auto& lane) {
    return !lane.empty() && lane.back().chunk == leaving;
  });
  if (encoded_) {
    window_->SettleOldest();
    if (leaving_keys_.defined()) transient_bytes_ = 2 * leaving_keys_.numel() * kValueBytes;
  } else if (kept) {
    TurnLeaving(geometry_.clamps());
  }
  for (int lane = 0; lane < lists; ++lane) {
    const int lanes = together ? geometry_.lanes() : 1;
    const LaneFit* fit =
        !plan.lanes.empty() && plan.lanes[lane].fit ? &*plan.lanes[lane].fit : nullptr;
    if (encoded_) {
      for (int i = lane; i < lane + lanes; ++i) Encode(tokens[lane], moves[lane], i, fit);
    } else {
      ApplyMoves(moves[lane], lane, lanes, &keys_);
      ApplyMoves(moves[lane], lane, lanes, &values_);
    }
    if (fit != nullptr) ApplyFit(*fit, lane, &tokens[lane]);
  }
  far_ = std::move(tokens);
  near_begin_block_ += chunk_blocks_;
  leaving_unrotated_ = false;
  if (encoded_) {
    window_->DropOldest();
    leaving_keys_ = leaving_values_ = at::Tensor();
  }
  UpdateIndex();
  UpdatePages();
  return {};
}

}  // namespace kvla

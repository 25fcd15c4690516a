// SPDX-License-Identifier: Apache-2.0
#include "kv_efficient/token_mass.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace kvla {
namespace {

// Where each token of `after` was: the same token, or those that a new summary stands for.
std::vector<std::vector<int>> Sources(std::span<const FarToken> before,
                                      std::span<const FarToken> after, int slots) {
  std::vector<std::vector<int>> sources;
  size_t from = 0;  // both are in order of chunks
  for (const FarToken& token : after) {
    while (from < before.size() && before[from].chunk < token.chunk) ++from;
    std::vector<int> same, summed;
    for (size_t i = from; i < before.size() && before[i].chunk == token.chunk; ++i) {
      const FarToken& old = before[i];
      if (old.offset == token.offset && old.summary == token.summary) {
        same.push_back(static_cast<int>(i));
      }
      const int of =
          token.summary == SummaryKind::kFrames ? old.offset / slots : old.offset % slots;
      if (!token.original() && old.original() && of == token.offset) {
        summed.push_back(static_cast<int>(i));
      }
    }
    sources.push_back(same.empty() ? std::move(summed) : std::move(same));
  }
  return sources;
}

}  // namespace

TokenMass::TokenMass(int lanes, int blocks)
    : running_(blocks == 0),
      blocks_(std::max(1, blocks)),
      lists_(static_cast<size_t>(lanes) * blocks_) {}

void TokenMass::Reset() {
  current_ = 0;
  for (std::vector<float>& list : lists_) list.clear();
}

void TokenMass::BeginBlock() {
  if (running_) return;
  current_ = (current_ + 1) % blocks_;
  for (size_t i = static_cast<size_t>(current_); i < lists_.size(); i += blocks_) lists_[i].clear();
}

void TokenMass::Add(int lane, int first, std::span<const float> mass) {
  std::vector<float>& sums = list(lane, current_);
  sums.resize(std::max(sums.size(), first + mass.size()), 0.0F);
  for (size_t i = 0; i < mass.size(); ++i) sums[first + i] += mass[i];
}

std::vector<float> TokenMass::Of(int lane, int tokens) const {
  std::vector<float> sum(tokens, 0.0F);
  for (int block = 0; block < blocks_; ++block) {
    const std::vector<float>& own = list(lane, block);
    for (size_t i = 0; i < std::min(own.size(), sum.size()); ++i) sum[i] += own[i];
  }
  return sum;
}

void TokenMass::Leave(int lane, std::span<const FarToken> before, std::span<const FarToken> after,
                      int chunk, int chunk_tokens, int slots) {
  std::vector<FarToken> old(before.begin(), before.end());
  for (int offset = 0; offset < chunk_tokens; ++offset) {
    old.push_back({.chunk = chunk, .offset = offset});
  }
  const std::vector<std::vector<int>> sources = Sources(old, after, slots);
  for (int block = 0; block < blocks_; ++block) {
    std::vector<float>& own = list(lane, block);
    own.resize(std::max(own.size(), old.size()), 0.0F);
    std::vector<float> now;
    for (const std::vector<int>& from : sources) {
      float sum = 0;
      for (const int i : from) sum += own[i];
      now.push_back(sum);
    }
    now.insert(now.end(), own.begin() + static_cast<ptrdiff_t>(old.size()), own.end());
    own = std::move(now);
  }
}

void TokenMass::Truncate(int lane, int tokens) {
  for (int block = 0; block < blocks_; ++block) {
    std::vector<float>& own = list(lane, block);
    own.resize(std::min(own.size(), static_cast<size_t>(tokens)));
  }
}

int64_t TokenMass::bytes() const {
  int64_t values = 0;
  for (const std::vector<float>& list : lists_) values += std::ssize(list);
  return values * static_cast<int64_t>(sizeof(float));
}

bool TokenMass::Restore(std::vector<std::vector<float>> lists, int current,
                        std::span<const int> tokens) {
  if (lists.size() != lists_.size() || current < 0 || current >= blocks_) return false;
  for (size_t i = 0; i < lists.size(); ++i) {
    if (std::ssize(lists[i]) > tokens[i / blocks_]) return false;
    const auto sum = [](float m) { return m >= 0 && std::isfinite(m); };
    if (!std::ranges::all_of(lists[i], sum)) return false;
  }
  lists_ = std::move(lists);
  current_ = current;
  return true;
}

}  // namespace kvla

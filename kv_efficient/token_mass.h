// SPDX-License-Identifier: Apache-2.0
// The attention that tokens received, kept beside them. No torch.
#ifndef KVLA_KV_EFFICIENT_TOKEN_MASS_H_
#define KVLA_KV_EFFICIENT_TOKEN_MASS_H_

#include <cstdint>
#include <span>
#include <vector>

#include "kv_efficient/far_token.h"

namespace kvla {

// Of every lane, in the order in which it holds its tokens: far ones, the instruction first, then
// near ones. Summed over the queries and query heads that a lane serves. Not thread-safe.
class TokenMass {
 public:
  // Of the queries of the `blocks` newest frame blocks, the current one among them; 0: of all since
  // a token was appended.
  TokenMass(int lanes, int blocks);

  void Reset();
  void BeginBlock();
  // What the current block's queries gave to a lane's tokens from the `first` one on.
  void Add(int lane, int first, std::span<const float> mass);
  // Of a lane's first `tokens` tokens.
  std::vector<float> Of(int lane, int tokens) const;

  // Tokens of the oldest near chunk, `chunk_tokens` with `slots` in a frame block, leave: the far
  // ones of a lane are `after`, where they were `before`. A summary inherits what its tokens had.
  void Leave(int lane, std::span<const FarToken> before, std::span<const FarToken> after, int chunk,
             int chunk_tokens, int slots);
  // Forgets all but the first `tokens` of a lane.
  void Truncate(int lane, int tokens);

  int64_t bytes() const;
  // One list a lane and block that counts, each no longer than the lane has tokens.
  const std::vector<std::vector<float>>& lists() const { return lists_; }
  // False, and nothing changes, for other lists than lists() of a cache whose lanes hold so many
  // tokens could be: their number, their lengths, values below 0 or not finite.
  bool Restore(std::vector<std::vector<float>> lists, int current, std::span<const int> tokens);
  int current() const { return current_; }

 private:
  std::vector<float>& list(int lane, int block) { return lists_[lane * blocks_ + block]; }
  const std::vector<float>& list(int lane, int block) const {
    return lists_[lane * blocks_ + block];
  }

  bool running_;  // never forgets
  int blocks_;    // lists a lane: a ring
  int current_ = 0;
  std::vector<std::vector<float>> lists_;
};

}  // namespace kvla

#endif  // KVLA_KV_EFFICIENT_TOKEN_MASS_H_

// SPDX-License-Identifier: Apache-2.0
#include "base/rng.h"

#include <cmath>
#include <numbers>

namespace kvla {
namespace {

constexpr uint64_t kGolden = 0x9e3779b97f4a7c15ULL;

uint64_t Mix(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

}  // namespace

uint64_t StableHash(std::string_view text, uint64_t basis) {
  uint64_t h = basis;
  for (const char c : text) {
    h ^= static_cast<unsigned char>(c);
    h *= 0x100000001b3ULL;
  }
  return h;
}

Rng::Rng(const EpisodeKey& episode, std::string_view purpose) : state_(0) {
  // Each part is mixed before the next is added, so that no two keys collide by a sum.
  uint64_t key = Mix(static_cast<uint64_t>(episode.split) * kGolden);
  key = Mix(key ^ (episode.run_seed + kGolden));
  key = Mix(key ^ StableHash(episode.task));
  key = Mix(key ^ StableHash(episode.delay));
  key = Mix(key ^ (episode.episode + 2 * kGolden));
  state_ = Mix(key ^ StableHash(purpose));
}

uint64_t Rng::NextU64() {
  state_ += kGolden;
  return Mix(state_);
}

double Rng::Uniform() { return static_cast<double>(NextU64() >> 11) * 0x1.0p-53; }

double Rng::Uniform(double low, double high) { return low + (high - low) * Uniform(); }

int Rng::UniformInt(int n) {
  return static_cast<int>((static_cast<unsigned __int128>(NextU64()) * static_cast<unsigned>(n)) >>
                          64);
}

double Rng::Normal() {
  // Box-Muller; 1 - u keeps the logarithm finite.
  const double radius = std::sqrt(-2.0 * std::log(1.0 - Uniform()));
  return radius * std::cos(2.0 * std::numbers::pi * Uniform());
}

}  // namespace kvla

// SPDX-License-Identifier: Apache-2.0
// Counter-based random streams, keyed so that evaluation can never meet a training seed.
#ifndef KVLA_BASE_RNG_H_
#define KVLA_BASE_RNG_H_

#include <cstdint>
#include <string_view>
#include <utility>

namespace kvla {

// Part of every stream's key: the same numbers under another split give another stream.
enum class Split : uint8_t { kTrain = 1, kValidation = 2, kEvaluation = 3 };

// Names one episode of one task; together with a purpose it names one random stream.
struct EpisodeKey {
  Split split = Split::kEvaluation;
  uint64_t run_seed = 0;
  std::string_view task;   // task name, not hashed with its delay: see `delay`
  std::string_view delay;  // "short", "medium", "long" or ""
  uint64_t episode = 0;
  // The same episode but for what is to be remembered. Not part of any stream's key.
  bool twin = false;
};

// A SplitMix64 stream (Steele, Lea and Flood 2014): the state is a counter, so that the
// n-th draw depends on the key and n alone. Not thread-safe; copy it to branch.
class Rng {
 public:
  explicit Rng(uint64_t key) : state_(key) {}
  // The stream of one episode for one purpose ("placement", "noise", ...).
  Rng(const EpisodeKey& episode, std::string_view purpose);

  uint64_t NextU64();
  double Uniform();                         // [0, 1)
  double Uniform(double low, double high);  // [low, high)
  int UniformInt(int n);                    // [0, n); REQUIRES: n > 0
  double Normal();                          // mean 0, standard deviation 1

  // Fisher-Yates.
  template <class Container>
  void Shuffle(Container& c) {
    for (int i = static_cast<int>(c.size()) - 1; i > 0; --i) {
      std::swap(c[i], c[UniformInt(i + 1)]);
    }
  }

 private:
  uint64_t state_;
};

// FNV-1a, 64 bit: stable over machines and builds, unlike std::hash.
uint64_t StableHash(std::string_view text, uint64_t basis = 0xcbf29ce484222325ULL);

}  // namespace kvla

#endif  // KVLA_BASE_RNG_H_

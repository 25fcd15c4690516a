// SPDX-License-Identifier: Apache-2.0
#include "policy/probe_net.h"

#include <gtest/gtest.h>

#include "base/rng.h"

namespace kvla {
namespace {

constexpr int kSide = 32;
constexpr int kClasses = 3;

enum class Clue { kNone, kImage, kProprio };

// Noise in every frame, with the label written where `clue` says, in frame `betrays` alone.
std::vector<ProbeSample> Samples(int n, Clue clue, uint64_t seed, int frames, int betrays) {
  Rng rng(seed);
  std::vector<ProbeSample> samples(n);
  for (ProbeSample& sample : samples) {
    sample.label = rng.UniformInt(kClasses);
    for (int c = 0; c < 2; ++c) {
      std::vector<uint8_t> image(size_t{3} * kSide * kSide * frames);
      for (uint8_t& value : image) value = static_cast<uint8_t>(100 + rng.UniformInt(20));
      if (clue == Clue::kImage && c == 1) {  // a lamp of a few pixels
        for (int y = 8; y < 12; ++y) {
          for (int x = 20; x < 24; ++x) {
            image[size_t{3} * ((betrays * kSide + y) * kSide + x) + sample.label] = 250;
          }
        }
      }
      sample.images.push_back(std::move(image));
    }
    for (int f = 0; f < frames; ++f) {
      for (float& value : sample.proprio.emplace_back()) {
        value = static_cast<float>(rng.Uniform(-1, 1));
      }
    }
    if (clue == Clue::kProprio) {
      sample.proprio[betrays][1] = 1.5F + static_cast<float>(sample.label);
    }
  }
  return samples;
}

// The newest frame of each alone.
std::vector<ProbeSample> Newest(std::vector<ProbeSample> samples) {
  for (ProbeSample& sample : samples) {
    for (std::vector<uint8_t>& image : sample.images) {
      image.erase(image.begin(), image.end() - ptrdiff_t{3} * kSide * kSide);
    }
    sample.proprio = {sample.proprio.back()};
  }
  return samples;
}

double Rate(const std::vector<ProbeSample>& train, const std::vector<ProbeSample>& held_out) {
  ProbeTraining options;
  options.image_size = kSide;
  options.epochs = 25;
  const Result<std::vector<int>> guesses = TrainProbe(train, held_out, options);
  EXPECT_TRUE(guesses.ok()) << guesses.status().message();
  if (!guesses.ok() || guesses->size() != held_out.size()) return -1;
  double right = 0;
  for (size_t i = 0; i < held_out.size(); ++i) right += (*guesses)[i] == held_out[i].label;
  return right / static_cast<double>(held_out.size());
}

double Rate(Clue clue) { return Rate(Samples(150, clue, 1, 1, 0), Samples(150, clue, 2, 1, 0)); }

TEST(ProbeNet, FindsWhatASingleImageShows) { EXPECT_GT(Rate(Clue::kImage), 0.9); }
TEST(ProbeNet, FindsWhatTheArmBetrays) { EXPECT_GT(Rate(Clue::kProprio), 0.9); }
TEST(ProbeNet, GuessesWhereThereIsNothing) { EXPECT_NEAR(Rate(Clue::kNone), 1.0 / kClasses, 0.13); }

TEST(ProbeNet, FindsWhatAnOlderFrameShowsInTheWindowAlone) {
  for (const Clue clue : {Clue::kImage, Clue::kProprio}) {
    const auto train = Samples(150, clue, 1, 6, 2);
    const auto held_out = Samples(150, clue, 2, 6, 2);
    EXPECT_GT(Rate(train, held_out), 0.9) << static_cast<int>(clue);
    EXPECT_NEAR(Rate(Newest(train), Newest(held_out)), 1.0 / kClasses, 0.13);
  }
}

TEST(ProbeNet, GuessesWhereAWindowShowsNothing) {
  EXPECT_NEAR(Rate(Samples(150, Clue::kNone, 1, 6, 0), Samples(150, Clue::kNone, 2, 6, 0)),
              1.0 / kClasses, 0.13);
}

}  // namespace
}  // namespace kvla

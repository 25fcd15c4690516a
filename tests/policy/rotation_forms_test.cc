// SPDX-License-Identifier: Apache-2.0
#include "policy/rotation_forms.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "base/rng.h"

namespace kvla {
namespace {

constexpr double kHalf = std::numbers::pi / 2;

// Both signs are one rotation.
double Apart(const Quaternion& a, const Quaternion& b) {
  double dot = 0;
  for (size_t i = 0; i < 4; ++i) dot += a[i] * b[i];
  return 1 - std::abs(dot);
}

Quaternion Drawn(Rng* rng) {
  const std::array<double, 4> numbers = {rng->Normal(), rng->Normal(), rng->Normal(),
                                         rng->Normal()};
  return ReadRotation(RotationForm::kWxyz, numbers);
}

TEST(RotationForms, ThereAndBack) {
  Rng rng(7);
  for (const std::string& name : RotationFormNames()) {
    SCOPED_TRACE(name);
    const RotationForm form = *RotationFormNamed(name);
    for (int i = 0; i < 200; ++i) {
      const Quaternion q = Drawn(&rng);
      const std::vector<double> numbers = WriteRotation(form, q);
      ASSERT_EQ(numbers.size(), static_cast<size_t>(RotationNumbers(form)));
      EXPECT_LT(Apart(ReadRotation(form, numbers), q), 1e-12);
    }
    // Half turns, where a rotation vector may have either sign, and pitches of 90 degrees.
    for (const Quaternion& q :
         {Quaternion{1, 0, 0, 0}, Quaternion{0, 1, 0, 0}, Quaternion{0, 0, 1, 0},
          Quaternion{0, 0, 0, 1}, Quaternion{0.5, 0.5, 0.5, 0.5}, Quaternion{0.5, 0.5, -0.5, 0.5},
          Quaternion{std::cos(kHalf / 2), 0, std::sin(kHalf / 2), 0}}) {
      EXPECT_LT(Apart(ReadRotation(form, WriteRotation(form, q)), q), 1e-12);
    }
  }
  EXPECT_FALSE(RotationFormNamed("matrix"));
}

TEST(RotationForms, AQuarterTurnAboutZIsWrittenAsEachFormHasIt) {
  const double r = std::sqrt(0.5);
  const std::vector<std::vector<double>> wanted = {
      {0, 0, kHalf}, {0, 0, kHalf}, {r, 0, 0, r}, {0, 0, r, r}, {0, 1, 0, -1, 0, 0}};
  for (size_t i = 0; i < wanted.size(); ++i) {
    const auto form = static_cast<RotationForm>(i);
    const std::vector<double> numbers = WriteRotation(form, {r, 0, 0, r});
    ASSERT_EQ(numbers.size(), wanted[i].size());
    for (size_t k = 0; k < numbers.size(); ++k) {
      EXPECT_NEAR(numbers[k], wanted[i][k], 1e-12) << RotationFormNames()[i] << " " << k;
    }
  }
}

TEST(RotationForms, EulerAnglesTurnAboutFixedAxesRollFirst) {
  // x to y by a quarter turn about z, then nothing: after a roll of 90 degrees y points along z.
  const std::array<double, 3> angles = {kHalf, 0, kHalf};
  const Quaternion q = ReadRotation(RotationForm::kEuler, angles);
  const std::array<double, 3> roll = {kHalf, 0, 0}, yaw = {0, 0, kHalf};
  const Quaternion in_turn =
      Product(ReadRotation(RotationForm::kRotvec, yaw), ReadRotation(RotationForm::kRotvec, roll));
  EXPECT_LT(Apart(q, in_turn), 1e-12);
  EXPECT_LT(Apart(Product(q, Inverse(q)), {1, 0, 0, 0}), 1e-12);
}

TEST(RotationForms, WhatIsNotQuiteARotationIsMadeOne) {
  const std::array<double, 6> skew = {2, 0, 0, 1, 3, 0}, none = {};
  EXPECT_LT(Apart(ReadRotation(RotationForm::kRotation6d, skew), {1, 0, 0, 0}), 1e-12);
  EXPECT_LT(Apart(ReadRotation(RotationForm::kRotation6d, none), {1, 0, 0, 0}), 1e-12);
  const std::array<double, 4> twice = {0, 2, 0, 0};
  EXPECT_LT(Apart(ReadRotation(RotationForm::kWxyz, twice), {0, 1, 0, 0}), 1e-12);
}

}  // namespace
}  // namespace kvla

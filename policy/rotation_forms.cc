// SPDX-License-Identifier: Apache-2.0
#include "policy/rotation_forms.h"

#include <algorithm>
#include <cmath>

namespace kvla {
namespace {

using Vector = std::array<double, 3>;
using Columns = std::array<Vector, 3>;

double Dot(const Vector& a, const Vector& b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

Vector Cross(const Vector& a, const Vector& b) {
  return {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
}

template <size_t kSize>
std::array<double, kSize> Scaled(std::array<double, kSize> x, double by) {
  for (double& value : x) value *= by;
  return x;
}

Quaternion Normal(const Quaternion& q) {
  double sum = 0;
  for (const double x : q) sum += x * x;
  return sum > 0 ? Scaled(q, (q[0] < 0 ? -1 : 1) / std::sqrt(sum)) : Quaternion{1, 0, 0, 0};
}

Quaternion About(const Vector& axis, double angle) {
  const Vector part = Scaled(axis, std::sin(angle / 2));
  return {std::cos(angle / 2), part[0], part[1], part[2]};
}

Columns MatrixOf(const Quaternion& q) {
  const auto [w, x, y, z] = q;
  return {{{1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)},
           {2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x)},
           {2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)}}};
}

// By the largest of the four, so that nothing small is divided by.
Quaternion QuaternionOf(const Columns& m) {
  const double x = m[0][0], y = m[1][1], z = m[2][2];
  const Quaternion squares = {1 + x + y + z, 1 + x - y - z, 1 - x + y - z, 1 - x - y + z};
  const auto largest = std::ranges::max_element(squares) - squares.begin();
  const double wx = m[1][2] - m[2][1], wy = m[2][0] - m[0][2], wz = m[0][1] - m[1][0];
  const double xy = m[0][1] + m[1][0], xz = m[0][2] + m[2][0], yz = m[1][2] + m[2][1];
  if (largest == 0) return Normal({squares[0], wx, wy, wz});
  if (largest == 1) return Normal({wx, squares[1], xy, xz});
  if (largest == 2) return Normal({wy, xy, squares[2], yz});
  return Normal({wz, xz, yz, squares[3]});
}

std::vector<double> WriteRotvec(const Quaternion& q) {
  const Vector part = {q[1], q[2], q[3]};
  const double sine = std::sqrt(Dot(part, part));
  const double angle = 2 * std::atan2(sine, q[0]);
  const Vector rotvec = Scaled(part, sine > 0 ? angle / sine : 2);
  return {rotvec.begin(), rotvec.end()};
}

// At a pitch of 90 degrees roll and yaw turn about one axis: all of it is called roll.
std::vector<double> WriteEuler(const Quaternion& q) {
  const Columns m = MatrixOf(q);
  const double pitch = std::asin(std::clamp(-m[0][2], -1.0, 1.0));
  if (std::abs(m[0][2]) > 1 - 1e-12) {
    return {std::atan2(m[0][2] > 0 ? -m[1][0] : m[1][0], m[1][1]), pitch, 0};
  }
  return {std::atan2(m[1][2], m[2][2]), pitch, std::atan2(m[0][1], m[0][0])};
}

Quaternion Read6d(std::span<const double> n) {
  Vector a = {n[0], n[1], n[2]}, b = {n[3], n[4], n[5]};
  const double length = std::sqrt(Dot(a, a));
  if (length == 0) return {1, 0, 0, 0};
  a = Scaled(a, 1 / length);
  const double along = Dot(a, b);
  for (size_t i = 0; i < 3; ++i) b[i] -= along * a[i];
  const double rest = std::sqrt(Dot(b, b));
  if (rest == 0) return {1, 0, 0, 0};
  b = Scaled(b, 1 / rest);
  return QuaternionOf({a, b, Cross(a, b)});
}

}  // namespace

const std::vector<std::string>& RotationFormNames() {
  static const std::vector<std::string> names = {"rotvec", "euler", "quaternion_wxyz",
                                                 "quaternion_xyzw", "rotation6d"};
  return names;
}

std::optional<RotationForm> RotationFormNamed(const std::string& name) {
  const std::vector<std::string>& names = RotationFormNames();
  const auto found = std::ranges::find(names, name);
  if (found == names.end()) return std::nullopt;
  return static_cast<RotationForm>(found - names.begin());
}

int RotationNumbers(RotationForm form) {
  constexpr std::array<int, 5> kNumbers = {3, 3, 4, 4, 6};
  return kNumbers[static_cast<size_t>(form)];
}

std::vector<double> WriteRotation(RotationForm form, const Quaternion& rotation) {
  const Quaternion q = Normal(rotation);
  switch (form) {
    case RotationForm::kRotvec:
      return WriteRotvec(q);
    case RotationForm::kEuler:
      return WriteEuler(q);
    case RotationForm::kWxyz:
      return {q.begin(), q.end()};
    case RotationForm::kXyzw:
      return {q[1], q[2], q[3], q[0]};
    case RotationForm::kRotation6d:
      break;
  }
  const Columns m = MatrixOf(q);
  std::vector<double> numbers(m[0].begin(), m[0].end());
  numbers.insert(numbers.end(), m[1].begin(), m[1].end());
  return numbers;
}

Quaternion ReadRotation(RotationForm form, std::span<const double> n) {
  switch (form) {
    case RotationForm::kRotvec: {
      const Vector rotvec = {n[0], n[1], n[2]};
      const double angle = std::sqrt(Dot(rotvec, rotvec));
      return About(Scaled(rotvec, angle > 0 ? 1 / angle : 0), angle);
    }
    case RotationForm::kEuler:
      return Product(About({0, 0, 1}, n[2]),
                     Product(About({0, 1, 0}, n[1]), About({1, 0, 0}, n[0])));
    case RotationForm::kWxyz:
      return Normal({n[0], n[1], n[2], n[3]});
    case RotationForm::kXyzw:
      return Normal({n[3], n[0], n[1], n[2]});
    case RotationForm::kRotation6d:
      break;
  }
  return Read6d(n);
}

Quaternion Product(const Quaternion& a, const Quaternion& b) {
  return {a[0] * b[0] - a[1] * b[1] - a[2] * b[2] - a[3] * b[3],
          a[0] * b[1] + a[1] * b[0] + a[2] * b[3] - a[3] * b[2],
          a[0] * b[2] - a[1] * b[3] + a[2] * b[0] + a[3] * b[1],
          a[0] * b[3] + a[1] * b[2] - a[2] * b[1] + a[3] * b[0]};
}

Quaternion Inverse(const Quaternion& rotation) {
  return {rotation[0], -rotation[1], -rotation[2], -rotation[3]};
}

}  // namespace kvla

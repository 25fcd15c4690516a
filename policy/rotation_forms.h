// SPDX-License-Identifier: Apache-2.0
// How policies write down a rotation. No torch.
#ifndef KVLA_POLICY_ROTATION_FORMS_H_
#define KVLA_POLICY_ROTATION_FORMS_H_

#include <array>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace kvla {

using Quaternion = std::array<double, 4>;  // w x y z, of length 1

enum class RotationForm {
  kRotvec,      // axis times angle [rad], the angle at most pi
  kEuler,       // roll, pitch, yaw [rad] about the fixed x, y, z axes, in this order
  kWxyz,        // a quaternion, w at least 0 where it is written
  kXyzw,        // the same, w last
  kRotation6d,  // the first two columns of the matrix (Zhou et al., arXiv 1812.07035)
};

// "rotvec", "euler", "quaternion_wxyz", "quaternion_xyzw", "rotation6d", in the order of the enum.
const std::vector<std::string>& RotationFormNames();
std::optional<RotationForm> RotationFormNamed(const std::string& name);
int RotationNumbers(RotationForm form);

std::vector<double> WriteRotation(RotationForm form, const Quaternion& rotation);
// The nearest rotation where the numbers are not quite one; none at all where they are all 0.
// REQUIRES: RotationNumbers(form) numbers.
Quaternion ReadRotation(RotationForm form, std::span<const double> numbers);

// The rotation `a` after `b`, and the way back.
Quaternion Product(const Quaternion& a, const Quaternion& b);
Quaternion Inverse(const Quaternion& rotation);

}  // namespace kvla

#endif  // KVLA_POLICY_ROTATION_FORMS_H_

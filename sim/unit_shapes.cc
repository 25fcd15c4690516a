// SPDX-License-Identifier: Apache-2.0
#include "sim/unit_shapes.h"

#include <cmath>
#include <numbers>

namespace kvla {
namespace {

using Vec3 = std::array<float, 3>;

void AddCorner(UnitShape* shape, const Vec3& position, const Vec3& normal) {
  shape->positions.push_back(position);
  shape->normals.push_back(normal);
}

// Adds a row of corners, and a strip between the row before and it. `corner` (cosine, sine) makes
// a corner. The last one closes the circle; its rounding is not that of the first.
template <class Corner>
void AddRow(UnitShape* shape, int slices, bool strip, bool flipped, Corner corner) {
  const int first = static_cast<int>(shape->positions.size());
  for (int j = 0; j <= slices; ++j) {
    const auto azimuth =
        static_cast<float>(2.0 * std::numbers::pi * j / static_cast<float>(slices));
    corner(std::cos(azimuth), std::sin(azimuth));
  }
  if (strip) shape->strips.push_back({first - slices - 1, first, slices, flipped});
}

void AddDisk(UnitShape* shape, int sign, int slices, int stacks) {
  const float z = static_cast<float>(sign);
  for (int i = 0; i <= stacks; ++i) {
    const float r = static_cast<float>(i) / static_cast<float>(stacks);
    AddRow(shape, slices, i > 0, sign > 0, [&](float x, float y) {
      AddCorner(shape, {x * r, y * r, z}, {0, 0, z});
    });
  }
}

void AddSide(UnitShape* shape, int slices, int stacks) {
  for (int i = 0; i <= stacks; ++i) {
    const float z = static_cast<float>(2 * i) / static_cast<float>(stacks) - 1;
    AddRow(shape, slices, i > 0, false, [&](float x, float y) {
      const float length = std::sqrt(x * x + y * y);
      AddCorner(shape, {x, y, z}, {x / length, y / length, 0});
    });
  }
}

// Half a sphere round (0, 0, center).
void AddHalfSphere(UnitShape* shape, int sign, float center, int slices, int stacks) {
  for (int i = 0; i < stacks; ++i) {
    const auto elevation =
        static_cast<float>(std::numbers::pi / 2 * sign * i / static_cast<float>(stacks));
    AddRow(shape, slices, i > 0, sign < 0, [&](float cosine, float sine) {
      const float x = cosine * std::cos(elevation), y = sine * std::cos(elevation);
      const float z = center + std::sin(elevation);
      AddCorner(shape, {x, y, z}, {x, y, z - center});
    });
  }
  const float z = static_cast<float>(sign);
  AddRow(shape, slices, true, sign < 0, [&](float, float) {
    AddCorner(shape, {0, 0, center + z}, {0, 0, z});
  });
}

}  // namespace

UnitShape UnitBox() {
  // In MuJoCo's order: above, below, and round the four sides.
  struct Side {
    Vec3 normal;
    std::array<Vec3, 4> corners;  // counterclockwise
  };
  constexpr Side kSides[] = {
      {{0, 0, 1}, {{{-1, -1, 1}, {1, -1, 1}, {1, 1, 1}, {-1, 1, 1}}}},
      {{0, 0, -1}, {{{-1, 1, -1}, {1, 1, -1}, {1, -1, -1}, {-1, -1, -1}}}},
      {{1, 0, 0}, {{{1, -1, -1}, {1, 1, -1}, {1, 1, 1}, {1, -1, 1}}}},
      {{-1, 0, 0}, {{{-1, -1, 1}, {-1, 1, 1}, {-1, 1, -1}, {-1, -1, -1}}}},
      {{0, -1, 0}, {{{-1, -1, -1}, {1, -1, -1}, {1, -1, 1}, {-1, -1, 1}}}},
      {{0, 1, 0}, {{{-1, 1, 1}, {1, 1, 1}, {1, 1, -1}, {-1, 1, -1}}}},
  };
  UnitShape box;
  for (const Side& side : kSides) {
    const int first = static_cast<int>(box.positions.size());
    for (const size_t i : {0, 1, 3, 2}) AddCorner(&box, side.corners[i], side.normal);
    box.strips.push_back({first, first + 2, 1, false});
  }
  return box;
}

UnitShape UnitSphere(int slices, int stacks) {
  UnitShape sphere;
  for (const int sign : {-1, 1}) AddHalfSphere(&sphere, sign, 0, slices, stacks / 2);
  return sphere;
}

UnitShape UnitCylinder(int slices, int stacks) {
  UnitShape cylinder;
  AddDisk(&cylinder, -1, slices, stacks / 2);
  AddSide(&cylinder, slices, stacks);
  AddDisk(&cylinder, +1, slices, stacks / 2);
  return cylinder;
}

UnitShape UnitCylinderSide(int slices, int stacks) {
  UnitShape side;
  AddSide(&side, slices, stacks);
  return side;
}

UnitShape UnitHalfSphere(int sign, int slices, int stacks) {
  UnitShape half;
  AddHalfSphere(&half, sign, static_cast<float>(sign), slices, stacks);
  return half;
}

}  // namespace kvla

// SPDX-License-Identifier: Apache-2.0
// The corners and faces by which MuJoCo draws its primitive shapes, to the last bit.
#ifndef KVLA_SIM_UNIT_SHAPES_H_
#define KVLA_SIM_UNIT_SHAPES_H_

#include <array>
#include <vector>

namespace kvla {

// A surface in the shape's own units, before it is scaled to the size of a geom. It consists of
// strips of quads between two rows of corners. A strip that ends in a pole has there a row of the
// same corner: each of its quads is the triangle that MuJoCo draws, and one without an area.
struct UnitShape {
  struct Strip {
    int lower = 0, upper = 0;  // the first corner of each row
    int quads = 0;             // one less than the corners of a row
    // Quad i has the corners lower + i, lower + i + 1, upper + i + 1 and upper + i,
    // counterclockwise as seen from outside; in the opposite order where `flipped`.
    bool flipped = false;
  };
  std::vector<std::array<float, 3>> positions, normals;
  std::vector<Strip> strips;
};

// `slices` and `stacks` as in mjVisual::quality: faces around a shape, and from end to end.
UnitShape UnitBox();
UnitShape UnitSphere(int slices, int stacks);
UnitShape UnitCylinder(int slices, int stacks);      // closed
UnitShape UnitCylinderSide(int slices, int stacks);  // open
// The upper (`sign` 1) or lower (-1) half of a sphere round (0, 0, sign).
UnitShape UnitHalfSphere(int sign, int slices, int stacks);

}  // namespace kvla

#endif  // KVLA_SIM_UNIT_SHAPES_H_

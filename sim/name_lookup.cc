// SPDX-License-Identifier: Apache-2.0
#include "sim/name_lookup.h"

#include <fmt/format.h>

#include <algorithm>

#include "sim/world.h"

namespace kvla {

void NameLookup::Keep(const Status& status) {
  if (status_.ok()) status_ = status;
}

int NameLookup::Id(mjtObj type, const std::string& name) {
  const Result<int> id = world_.Id(type, name);
  if (id.ok()) return *id;
  Keep(id.status());
  return 0;
}

std::vector<int> NameLookup::Numbered(mjtObj type, const std::string& stem, int count) {
  std::vector<int> ids;
  for (int i = 0; i < count; ++i) ids.push_back(Id(type, fmt::format("{}{}", stem, i)));
  return ids;
}

std::vector<int> NameLookup::AllNumbered(mjtObj type, const std::string& stem) const {
  std::vector<int> ids;
  for (;;) {
    const Result<int> id = world_.Id(type, fmt::format("{}{}", stem, ids.size()));
    if (!id.ok()) return ids;
    ids.push_back(*id);
  }
}

int NameLookup::Position(const std::string& joint) {
  return world_.model()->jnt_qposadr[Id(mjOBJ_JOINT, joint)];
}

int NameLookup::Mocap(const std::string& body) {
  const int mocap = world_.model()->body_mocapid[Id(mjOBJ_BODY, body)];
  if (mocap < 0) {
    Keep(BadInput(fmt::format("{}: body '{}' must be a mocap body", world_.path().string(), body)));
  }
  return std::max(mocap, 0);
}

}  // namespace kvla

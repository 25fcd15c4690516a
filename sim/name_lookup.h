// SPDX-License-Identifier: Apache-2.0
// Ids of a scene's objects by name, looked up once for each world: see World::Ids().
#ifndef KVLA_SIM_NAME_LOOKUP_H_
#define KVLA_SIM_NAME_LOOKUP_H_

#include <mujoco/mujoco.h>

#include <string>
#include <vector>

#include "base/status.h"

namespace kvla {

class World;

// What a set of ids is made from. A name that is missing makes status() the BadInput that says so,
// for the first of them, and its id 0, which every scene has.
class NameLookup {
 public:
  explicit NameLookup(const World& world) : world_(world) {}

  int Id(mjtObj type, const std::string& name);
  // "button0" to "button3" for ("button", 4).
  std::vector<int> Numbered(mjtObj type, const std::string& stem, int count);
  // "button0" and so on, as many as there are.
  std::vector<int> AllNumbered(mjtObj type, const std::string& stem) const;
  // Where a joint begins in mjData.qpos.
  int Position(const std::string& joint);
  // Which number in mjData.mocap_pos a body has, which must be one that the script moves.
  int Mocap(const std::string& body);

  const Status& status() const { return status_; }

 private:
  void Keep(const Status& status);

  const World& world_;
  Status status_;
};

}  // namespace kvla

#endif  // KVLA_SIM_NAME_LOOKUP_H_

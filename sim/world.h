// SPDX-License-Identifier: Apache-2.0
// One simulated scene: model, data and the arm's control, stepped at the control rate.
#ifndef KVLA_SIM_WORLD_H_
#define KVLA_SIM_WORLD_H_

#include <mujoco/mujoco.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <typeinfo>
#include <utility>
#include <vector>

#include "base/status.h"
#include "sim/arm.h"
#include "sim/name_lookup.h"
#include "sim/specs.h"

namespace kvla {

// Not thread-safe; different worlds may be used on different threads.
class World {
 public:
  // Compiles an MJCF file that includes sim/models/panda.xml. BadInput carries MuJoCo's own text
  // with the file and line.
  static Result<std::unique_ptr<World>> Load(const std::filesystem::path& mjcf);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  // Initial state of the model, arm at home; derived quantities computed; time 0; colours as in
  // the MJCF file.
  Status Reset();

  // One control step: kSubsteps physics steps. kDiverged when MuJoCo raised a warning (its text is
  // in the message) or a number stopped being finite; the world is then unusable until Reset() or
  // RestoreState().
  Status Step(const Action& action);

  // A hand that pulls a body: a damped spring from a point of it to a place, or a turn of it, until
  // Release() or Reset(). BadInput for a body that is not there or cannot move.
  struct Hand {
    int body = 0;
    std::array<double, 3> point{};   // in the body's frame, metres
    std::array<double, 3> target{};  // in the world, metres
    // Where to turn the body, as a quaternion of the world: then the point is left alone.
    std::optional<std::array<double, 4>> turn = std::nullopt;
  };
  Status Pull(const Hand& hand);
  void Release();

  // Everything that the next Step() depends on, and nothing else (mjSTATE_INTEGRATION).
  std::vector<double> SaveState() const;
  // BadInput when `state` has another length. Derived quantities are recomputed. The caller
  // re-applies what it wrote into the model (a task's Update()).
  Status RestoreState(std::span<const double> state);
  // FNV-1a over the bytes of SaveState().
  uint64_t StateHash() const;

  double time_s() const { return data_->time; }
  // Control steps since Reset(), from the simulated time.
  int control_steps() const;
  Proprioception Proprio() const { return arm_->Proprio(data_); }
  Pose EndEffector() const { return arm_->EndEffector(data_); }
  Arm& arm() { return *arm_; }
  const Arm& arm() const { return *arm_; }
  const std::filesystem::path& path() const { return path_; }

  mjModel* model() { return model_; }
  const mjModel* model() const { return model_; }
  mjData* data() { return data_; }
  // Const in name only: drawing needs a non-const mjData.
  mjData* data() const { return data_; }

  // Recomputes what depends on positions after a caller wrote qpos.
  void Forward();

  // Ids by name; BadInput names the scene and what is missing.
  Result<int> Id(mjtObj type, const std::string& name) const;
  Result<int> BodyId(const std::string& name) const { return Id(mjOBJ_BODY, name); }
  Result<int> GeomId(const std::string& name) const { return Id(mjOBJ_GEOM, name); }
  Result<int> JointId(const std::string& name) const { return Id(mjOBJ_JOINT, name); }
  Result<int> CameraId(const std::string& name) const { return Id(mjOBJ_CAMERA, name); }

  // A user's own set of ids, made by T(NameLookup&) from this world at the first call and kept with
  // it, so that no control step looks a name up.
  // REQUIRES: Bind<T>() would be ok; else some ids are 0.
  template <class T>
  const T& Ids() const {
    return *static_cast<const T*>(Lookup<T>().ids.get());
  }
  // BadInput names the scene and what is missing of what T looks up.
  template <class T>
  Status Bind() const {
    return Lookup<T>().status;
  }

  // Pinhole model of a camera for an image of the given size, as the camera stands now.
  Result<CameraSpec> Camera(const std::string& name, int width, int height) const;

 private:
  World() = default;

  struct KeptIds {
    const std::type_info* type;
    std::shared_ptr<const void> ids;
    Status status;
  };
  template <class T>
  const KeptIds& Lookup() const {
    for (const KeptIds& kept : kept_ids_) {
      if (*kept.type == typeid(T)) return kept;
    }
    NameLookup names(*this);
    auto ids = std::make_shared<const T>(names);
    kept_ids_.push_back({&typeid(T), std::move(ids), names.status()});
    return kept_ids_.back();
  }

  std::filesystem::path path_;
  mjModel* model_ = nullptr;
  mjData* data_ = nullptr;
  std::unique_ptr<Arm> arm_;
  void ApplyHand();

  std::optional<Hand> hand_;
  std::vector<float> initial_rgba_;  // model geom colours as loaded
  mutable std::vector<double> scratch_;
  mutable std::vector<KeptIds> kept_ids_;
};

}  // namespace kvla

#endif  // KVLA_SIM_WORLD_H_

// SPDX-License-Identifier: Apache-2.0
#include "sim/world.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string_view>

#include "base/files.h"
#include "base/rng.h"

namespace kvla {
namespace {

// MuJoCo appends its warnings to a file in the working folder unless told otherwise, for the whole
// process; warnings are returned as values here.
void KeepMujocoQuiet() {
  [[maybe_unused]] static const bool once = [] {
    mjLogConfig config = mju_getLogConfig();
    config.logto_file = false;
    config.logto_console = false;
    mju_setLogConfig(config);
    return true;
  }();
}

// Positions of everything, without touching what the next step starts from (mj_forward would
// overwrite the solver's warm start).
void UpdatePositions(const mjModel* m, mjData* d) {
  mj_kinematics(m, d);
  mj_comPos(m, d);
  mj_camlight(m, d);
}

}  // namespace

Result<std::unique_ptr<World>> World::Load(const std::filesystem::path& mjcf) {
  KeepMujocoQuiet();
  if (!IsFile(mjcf)) {
    return BadInput(fmt::format("{}: no such scene file", mjcf.string()));
  }
  char error[1024] = "";
  std::unique_ptr<World> world(new World);
  world->path_ = mjcf;
  world->model_ = mj_loadXML(mjcf.c_str(), nullptr, error, sizeof(error));
  if (world->model_ == nullptr) {
    return BadInput(fmt::format("{}: not a valid MJCF scene: {}", mjcf.string(), error));
  }
  mjModel* m = world->model_;
  if (m->opt.timestep != kPhysicsTimestep) {
    return BadInput(fmt::format("{}: the physics time step is {} s, must be {} s", mjcf.string(),
                                m->opt.timestep, kPhysicsTimestep));
  }
  // A diverged state must be seen, not silently reset.
  m->opt.disableflags |= mjDSBL_AUTORESET;
  world->data_ = mj_makeData(m);
  if (world->data_ == nullptr) return InternalError("MuJoCo could not allocate the scene's data");
  auto arm = Arm::Find(m);
  if (!arm.ok()) return arm.status().In(mjcf.string());
  world->arm_ = std::make_unique<Arm>(*arm);
  world->initial_rgba_.assign(m->geom_rgba, m->geom_rgba + 4 * m->ngeom);
  world->scratch_.resize(mj_stateSize(m, mjSTATE_INTEGRATION));
  if (Status s = world->Reset(); !s.ok()) return s.In(mjcf.string());
  return world;
}

World::~World() {
  mj_deleteData(data_);
  mj_deleteModel(model_);
}

Status World::Pull(const Hand& hand) {
  if (hand.body < 1 || hand.body >= model_->nbody || model_->body_weldid[hand.body] == 0) {
    return BadInput(fmt::format("{}: body {} cannot be pulled", path_.string(), hand.body));
  }
  Release();
  hand_ = hand;
  return {};
}

void World::Release() {
  if (hand_.has_value()) mju_zero(data_->xfrc_applied + 6 * hand_->body, 6);
  hand_.reset();
}

// As MuJoCo's simulate pulls: critically damped, with the body's mass.
void World::ApplyHand() {
  const int body = hand_->body;
  if (hand_->turn.has_value()) {
    mjtNum back[4], rest[4], axis[3], spin[6];
    mju_negQuat(back, data_->xquat + 4 * body);
    mju_mulQuat(rest, hand_->turn->data(), back);
    mju_quat2Vel(axis, rest, 1);  // radians still to turn, in the world
    mj_objectVelocity(model_, data_, mjOBJ_BODY, body, spin, 0);
    const double stiffness = model_->vis.map.stiffnessrot;
    const double inertia = 1 / std::max(model_->body_invweight0[2 * body + 1], mjMINVAL);
    mjtNum* torque = data_->xfrc_applied + 6 * body + 3;
    for (int i = 0; i < 3; ++i) {
      torque[i] = inertia * (stiffness * axis[i] - 2 * std::sqrt(stiffness) * spin[i]);
    }
    return;
  }
  mjtNum offset[3], point[3], velocity[6], lever[3];
  mju_mulMatVec3(offset, data_->xmat + 9 * body, hand_->point.data());
  mju_add3(point, data_->xpos + 3 * body, offset);
  mj_objectVelocity(model_, data_, mjOBJ_XBODY, body, velocity, 0);
  const double stiffness = model_->vis.map.stiffness, mass = model_->body_mass[body];
  mjtNum* force = data_->xfrc_applied + 6 * body;
  for (int i = 0; i < 3; ++i) {
    force[i] = mass * (stiffness * (hand_->target[i] - point[i]) -
                       2 * std::sqrt(stiffness) * velocity[3 + i]);
  }
  mju_sub3(lever, point, data_->xipos + 3 * body);
  mju_cross(force + 3, lever, force);
}

Status World::Reset() {
  hand_.reset();
  mj_resetData(model_, data_);
  std::copy(initial_rgba_.begin(), initial_rgba_.end(), model_->geom_rgba);
  arm_->GoHome(data_);
  UpdatePositions(model_, data_);
  return {};
}

Status World::Step(const Action& action) {
  int before[mjNWARNING];
  for (int i = 0; i < mjNWARNING; ++i) before[i] = data_->warning[i].number;
  arm_->Begin(data_, action);
  for (int i = 0; i < kSubsteps; ++i) {
    arm_->Apply(data_, i);
    if (hand_.has_value()) ApplyHand();
    mj_step(model_, data_);
    for (int w = 0; w < mjNWARNING; ++w) {
      if (data_->warning[w].number > before[w]) {
        return {StatusCode::kDiverged,
                fmt::format("simulation diverged at {:.3f} s: MuJoCo warns: {}", data_->time,
                            mju_warningText(w, data_->warning[w].lastinfo))};
      }
    }
  }
  // MuJoCo checks before it steps, so the last step's result is checked here.
  for (int i = 0; i < model_->nq; ++i) {
    if (!std::isfinite(data_->qpos[i])) {
      return {StatusCode::kDiverged,
              fmt::format("simulation diverged at {:.3f} s: position {} is not finite", data_->time,
                          i)};
    }
  }
  UpdatePositions(model_, data_);
  return {};
}

void World::Forward() { UpdatePositions(model_, data_); }

std::vector<double> World::SaveState() const {
  std::vector<double> state(scratch_.size());
  mj_getState(model_, data_, state.data(), mjSTATE_INTEGRATION);
  return state;
}

Status World::RestoreState(std::span<const double> state) {
  if (state.size() != scratch_.size()) {
    return BadInput(fmt::format("{}: a saved state has {} numbers, this scene needs {}",
                                path_.string(), state.size(), scratch_.size()));
  }
  // Clears what is not state, such as counters of warnings.
  mj_resetData(model_, data_);
  mj_setState(model_, data_, state.data(), mjSTATE_INTEGRATION);
  UpdatePositions(model_, data_);
  return {};
}

uint64_t World::StateHash() const {
  mj_getState(model_, data_, scratch_.data(), mjSTATE_INTEGRATION);
  return StableHash(std::string_view(reinterpret_cast<const char*>(scratch_.data()),
                                     scratch_.size() * sizeof(double)));
}

int World::control_steps() const {
  return static_cast<int>(std::lround(data_->time * kControlRateHz));
}

Result<int> World::Id(mjtObj type, const std::string& name) const {
  const int id = mj_name2id(model_, type, name.c_str());
  if (id >= 0) return id;
  return BadInput(
      fmt::format("{}: the scene has no {} named '{}'", path_.string(), mju_type2Str(type), name));
}

Result<CameraSpec> World::Camera(const std::string& name, int width, int height) const {
  auto id = CameraId(name);
  if (!id.ok()) return id.status();
  CameraSpec spec;
  spec.name = name;
  spec.width = width;
  spec.height = height;
  spec.fovy_deg = model_->cam_fovy[*id];
  const double focal = 0.5 * height / std::tan(spec.fovy_deg * 3.14159265358979323846 / 360);
  spec.intrinsics = {focal, 0, 0.5 * width, 0, focal, 0.5 * height, 0, 0, 1};
  std::copy_n(data_->cam_xpos + 3 * *id, 3, spec.pose.position.begin());
  mju_mat2Quat(spec.pose.quaternion.data(), data_->cam_xmat + 9 * *id);
  return spec;
}

}  // namespace kvla

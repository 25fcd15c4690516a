// SPDX-License-Identifier: Apache-2.0
// Sizes of the net that no config changes, for all that computes it. No torch.
#ifndef KVLA_POLICY_COMPACT_NET_SHAPES_H_
#define KVLA_POLICY_COMPACT_NET_SHAPES_H_

#include <cmath>
#include <iterator>

#include "policy/compact/text/text_encoder_files.h"
#include "policy/dimensions.h"

namespace kvla {

// The image encoder: overlapping patches, two convolutions over a map half as wide, and a narrow
// map that the linear map to tokens reads.
inline constexpr int kPatch = 8, kPatchStride = 4, kPatchPadding = (kPatch - kPatchStride) / 2;
inline constexpr int kTrunkChannels[] = {48, 64, 64};
inline constexpr int kMapChannels = 32;  // what the linear map reads; most weights are in that map
inline constexpr int kTrunkStride = 8;   // of the whole trunk
inline constexpr double kLayerNormEpsilon = 1e-5, kRmsNormEpsilon = 1e-5;

// A sentence's embedding has length 1; scaled so, its components do.
inline const double kTextScale = std::sqrt(static_cast<double>(kTextEmbeddingSize));

// Centres and spreads that bring the workspace's proprioception to about unit scale.
inline constexpr float kProprioCentre[kProprioDim] = {0.5F, 0.0F, 0.2F, 0, 0, 0, 0.04F};
inline constexpr float kProprioSpread[kProprioDim] = {0.12F, 0.15F, 0.12F, 0.2F, 0.2F, 0.2F, 0.03F};

// A recurrent policy: what its GRU reads of a block and the instruction.
inline constexpr int kMemoryWidth = 256;

// The heads.
inline constexpr double kPositionScale = 0.05;  // metres a unit of the action head
inline constexpr double kWaypointScale = 0.25;  // metres a unit of the waypoint head
inline constexpr int kHeadWidth = 256;
inline constexpr int kPlaceDim = 3;
inline constexpr int kAimDim = 3 * kPlaceDim;
inline constexpr int kMotionDim = 6, kPlaneDim = 2;
inline constexpr double kReaches[] = {0.02, 0.06, 0.2};  // metres that an action chunk may go
inline constexpr int kNumReaches = std::size(kReaches);
// z, rotation, gripper, paces
inline constexpr int kActionOutputs = kMotionDim - kPlaneDim + 1 + kNumReaches;
inline constexpr double kAimScale = 3.0;     // beside a block of about unit spread
inline constexpr double kAimNear = 0.02;     // metres: where an approach slows down
inline constexpr double kAimNowhere = 1e-3;  // no direction below

}  // namespace kvla

#endif  // KVLA_POLICY_COMPACT_NET_SHAPES_H_

// SPDX-License-Identifier: Apache-2.0
#include "policy/compact/net/device_net.h"

#include <algorithm>
#include <vector>

#include "policy/compact/net/cached_forward.h"
#include "policy/compact/net/shapes.h"

namespace kvla {
namespace {

torch::Tensor ProprioOf(std::span<const FrameInput* const> frames) {
  std::vector<float> proprio;
  for (const FrameInput* frame : frames) {
    proprio.insert(proprio.end(), frame->proprio.begin(), frame->proprio.end());
  }
  return torch::tensor(proprio).view({-1, kProprioDim});
}

std::vector<float> FloatsOf(const torch::Tensor& x) {
  const torch::Tensor host = x.to(torch::kCPU, torch::kFloat32).contiguous();
  return {host.const_data_ptr<float>(), host.const_data_ptr<float>() + host.numel()};
}

}  // namespace

void DeviceNet::Encode(std::span<const FrameInput* const> frames, float* blocks) {
  const int64_t side = net_->config().image_size;
  std::vector<torch::Tensor> images;
  for (size_t camera = 0; camera < net_->config().cameras.size(); ++camera) {
    std::vector<torch::Tensor> of_camera;
    for (const FrameInput* frame : frames) {
      // The tensor borrows the caller's bytes until stack() has copied them.
      of_camera.push_back(torch::from_blob(const_cast<uint8_t*>(frame->images[camera].data()),
                                           {side, side, 3}, torch::kUInt8));
    }
    images.push_back(torch::stack(of_camera).to(device_));
  }
  const torch::Tensor encoded =
      net_->EncodeBlocks(images, ProprioOf(frames).to(device_)).to(torch::kCPU).contiguous();
  const float* from = encoded.const_data_ptr<float>();
  std::copy(from, from + encoded.numel(), blocks);
}

Status DeviceNet::ReadInstruction(const at::Tensor& instruction, KvCache& cache) {
  return FeedInstruction(net_, instruction, cache);
}

void DeviceNet::Feed(std::span<KvCache* const> caches, float* blocks) {
  const int64_t tokens = net_->config().decoder_tokens(), width = net_->config().hidden_size;
  for (KvCache* cache : caches) {
    const torch::Tensor block =
        torch::from_blob(blocks, {tokens, width}, torch::kFloat32).to(device_, true, true);
    const torch::Tensor hidden = FeedBlock(net_, block, *cache).to(torch::kCPU).contiguous();
    const float* from = hidden.const_data_ptr<float>();
    blocks = std::copy(from, from + hidden.numel(), blocks);
  }
}

void DeviceNet::Act(std::span<const FrameInput* const> frames, const float* hidden,
                    std::span<Targets> targets) {
  const PolicyConfig& config = net_->config();
  const torch::Tensor blocks = torch::from_blob(const_cast<float*>(hidden),
                                                {static_cast<int64_t>(frames.size()),
                                                 config.tokens_per_block(), config.hidden_size},
                                                torch::kFloat32)
                                   .to(device_);
  const HeadOutputs heads = net_->Heads(blocks, ProprioOf(frames).to(device_));
  const torch::Tensor motion = heads.motion.cpu().contiguous();
  const torch::Tensor gripper = heads.gripper.cpu().contiguous();
  const float* m = motion.const_data_ptr<float>();
  const float* g = gripper.const_data_ptr<float>();
  for (Targets& chunk : targets) {
    chunk.clear();
    for (int step = 0; step < config.replan_steps; ++step, m += kMotionDim, ++g) {
      const auto scale = static_cast<float>(kPositionScale);
      chunk.push_back(
          {m[0] * scale, m[1] * scale, m[2] * scale, m[3], m[4], m[5], *g > 0 ? 1.0F : -1.0F});
    }
  }
}

RecurrentState DeviceNet::BeginState(const at::Tensor& instruction) {
  const torch::Tensor tokens = net_->EmbedInstruction(instruction.to(device_));
  return {std::vector<float>(static_cast<size_t>(net_->config().recurrent_size)),
          FloatsOf(tokens.mean(-2))};
}

void DeviceNet::Remember(std::span<RecurrentState* const> states, const float* encoded,
                         float* blocks) {
  const int64_t tokens = net_->config().tokens_per_block(), width = net_->config().hidden_size;
  for (RecurrentState* state : states) {
    const torch::Tensor block =
        torch::from_blob(const_cast<float*>(encoded), {1, 1, tokens, width}, torch::kFloat32)
            .to(device_);
    const torch::Tensor hidden =
        net_->memory()->States(block, torch::tensor(state->instruction).unsqueeze(0).to(device_),
                               torch::tensor(state->hidden).unsqueeze(0).to(device_));
    state->hidden = FloatsOf(hidden);
    const torch::Tensor said = net_->memory()->Tokens(hidden);
    blocks = std::ranges::copy(FloatsOf(torch::cat({block, said}, 2)), blocks).out;
    encoded += tokens * width;
  }
}

}  // namespace kvla

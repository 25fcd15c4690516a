// SPDX-License-Identifier: Apache-2.0
#include "harness/demos/demo_driver.h"

#include <fmt/format.h>

#include <utility>

#include "policy/compact/text/text_encoder_files.h"
#include "policy/compact/vla.h"

namespace kvla {
namespace {

constexpr int kMostBlocks = 1024;  // of any demonstration

}  // namespace

Result<std::unique_ptr<DemoDriver>> DemoDriver::Create(const DemoDriverConfig& config,
                                                       const std::filesystem::path& asset_root,
                                                       const std::vector<std::string>& cameras,
                                                       int image_size, int replan_steps) {
  std::unique_ptr<DemoDriver> driver(new DemoDriver);
  driver->config_ = config;
  Vla::Options options;
  options.checkpoint = config.checkpoint;
  options.text_encoder = TextEncoderFolder(asset_root);
  Result<std::unique_ptr<Vla>> policy = Vla::Load(options);
  if (!policy.ok()) return policy.status().In("driver");
  SessionOptions acts{.cache = {}, .max_blocks = kMostBlocks};
  acts.cache.policy = config.cache;
  Result<std::unique_ptr<Session>> session = (*policy)->NewSession(acts);
  if (!session.ok()) return session.status().In("driver");
  const PolicyConfig reads = (*policy)->config();
  driver->policy_ = *std::move(policy);
  driver->session_ = *std::move(session);
  if (reads.cameras == cameras && reads.image_size == image_size &&
      reads.replan_steps == replan_steps) {
    return driver;
  }
  return BadInput(fmt::format(
      "driver: {} reads images of {}x{} every {} control steps; cameras, image_size and "
      "replan_steps of the demonstrations must be the policy's",
      config.checkpoint, reads.image_size, reads.image_size, reads.replan_steps));
}

Status DemoDriver::Begin(const std::string& instruction, Rng rng) {
  rng_ = rng;
  acts_ = rng_.Uniform() < config_.share;
  EpisodeContext context;
  context.instruction = instruction;
  return session_->BeginEpisode(context);
}

Status DemoDriver::See(const std::vector<Image>& images, const Proprioception& proprio) {
  Result<Inference> inference = InferOne(*policy_, *session_, MakeFrameInput(images, proprio));
  if (!inference.ok()) return inference.status();
  chunk_ = {proprio.ee.position, std::move(inference->targets), 0};
  // Who acts is drawn anew where a stretch ends, so that the share holds over all of them.
  if (rng_.Uniform() * config_.span_blocks < 1.0) acts_ = rng_.Uniform() < config_.share;
  return {};
}

}  // namespace kvla

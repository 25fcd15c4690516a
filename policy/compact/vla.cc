// SPDX-License-Identifier: Apache-2.0
#include "policy/compact/vla.h"

#include <fmt/format.h>
#include <torch/cuda.h>

#include <algorithm>
#include <optional>

#include "kv_efficient/cost_model.h"
#include "kv_efficient/kv_cache.h"
#include "kv_efficient/methods/method_table.h"
#include "policy/compact/checkpoint.h"
#include "policy/compact/net/cached_forward.h"
#include "policy/compact/net/net_flops.h"
#include "policy/compact/net/recomputed_window.h"
#include "policy/compact/text/instruction_reader.h"
#include "tensors/torch.h"

namespace kvla {
namespace {

Result<torch::Device> DeviceOf(const std::string& name) {
  if (name == "cpu") return torch::Device(torch::kCPU);
  if (name != "cuda") return BadInput(fmt::format("device '{}': use cpu or cuda", name));
  if (!torch::cuda::is_available()) {
    return BadInput(
        "device cuda: no CUDA device is usable by this build; use device: cpu, or the "
        "cuda preset on a machine with a GPU");
  }
  return torch::Device(torch::kCUDA);
}

}  // namespace

struct Vla::Impl {
  PolicyConfig config;
  VlaNet net{nullptr};
  std::optional<InstructionReader> reader;
  torch::Device device{torch::kCPU};
  std::unique_ptr<KvCache> cache;
  std::optional<RecomputedWindow> window;  // where the method wants it anew at every inference
  int instruction_tokens = 0;
  NetFlops net_flops;
  MsClock clock;

  torch::Tensor Encode(const FrameInput& input);
  void Measure(Inference* inference) const;
};

// [tokens_per_block, hidden]
torch::Tensor Vla::Impl::Encode(const FrameInput& input) {
  const int64_t side = config.image_size;
  std::vector<torch::Tensor> images;
  for (const std::span<const uint8_t>& image : input.images) {
    // The tensor borrows the caller's bytes until the encoder has converted them.
    images.push_back(
        torch::from_blob(const_cast<uint8_t*>(image.data()), {1, side, side, 3}, torch::kUInt8)
            .to(device));
  }
  const torch::Tensor proprio =
      torch::tensor(torch::ArrayRef<float>(input.proprio)).unsqueeze(0).to(device);
  return net->EncodeBlocks(images, proprio).squeeze(0);
}

void Vla::Impl::Measure(Inference* inference) const {
  const CacheStats& stats = cache->stats();
  const RecomputedWindow::Work before = window ? window->work() : RecomputedWindow::Work();
  InferenceCost& cost = inference->cost;
  const LatencyParts measured = cost.latency;  // encode, linear and act: the cache knows the rest
  cost = stats.cost;
  const double attend_ms = cost.latency.attend_ms + before.attend_ms;
  cost.latency.attend_ms = attend_ms - stats.report_ms - before.report_ms;
  cost.latency.encode_ms = measured.encode_ms;
  cost.latency.linear_ms = measured.linear_ms - attend_ms;
  cost.latency.act_ms = measured.act_ms;
  cost.method_bytes = *cost.method_bytes + (window ? window->held_bytes() : 0);
  inference->attention = cache->received();
  const int blocks = before.blocks + 1;
  const double attended = (before.attended_tokens + stats.cost.attended_tokens) / blocks;
  FlopParts flops = DecoderFlops(cache->geometry(), {config.hidden_size, config.intermediate_size},
                                 config.tokens_per_block() * blocks, attended);
  flops.encode = net_flops.encode;
  flops.heads = net_flops.heads;
  flops.gate = stats.gate_flops;
  cost.flops = flops.total();
  inference->changes = cache->TakeChangedDecisions();
}

Vla::Vla(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Vla::~Vla() = default;

Result<std::unique_ptr<Vla>> Vla::Load(const Options& options) {
  try {
    torch::set_num_threads(options.threads);
    Result<torch::Device> device = DeviceOf(options.device);
    if (!device.ok()) return device.status();
    Result<Checkpoint> checkpoint = LoadCheckpoint(options.checkpoint);
    if (!checkpoint.ok()) return checkpoint.status();
    auto impl = std::make_unique<Impl>();
    impl->config = checkpoint->config;
    impl->net = checkpoint->net;
    impl->device = *device;
    impl->net->to(*device);
    impl->net->eval();
    Result<InstructionReader> reader =
        InstructionReader::Create(impl->config, options.text_encoder);
    if (!reader.ok()) return reader.status();
    impl->reader = *std::move(reader);
    impl->net_flops = NetFlopsOf(impl->net);
    impl->clock = options.clock;
    const CacheGeometry geometry =
        GeometryOf(impl->config, impl->config.instruction_capacity(), options.max_blocks);
    Result<std::unique_ptr<CachePolicy>> policy = MakeCachePolicy(options.cache, geometry);
    if (!policy.ok()) return policy.status();
    if (!options.cache.gate.empty()) {
      Status fits = CheckGatePolicy(options.cache.gate, options.checkpoint);
      if (!fits.ok()) return fits;
    }
    Result<std::unique_ptr<KvCache>> cache =
        KvCache::Create(geometry, options.cache, *std::move(policy), *device, options.clock);
    if (!cache.ok()) return cache.status();
    impl->cache = *std::move(cache);
    if (impl->cache->needs().window_again) impl->window.emplace();
    return std::unique_ptr<Vla>(new Vla(std::move(impl)));
  } catch (const std::exception& e) {
    return InternalError(fmt::format("{}: {}", options.checkpoint.string(), e.what()));
  }
}

Status Vla::BeginEpisode(const EpisodeContext& context) {
  try {
    const c10::InferenceMode inference_mode;
    EpisodeFacts facts;
    facts.stream_key = context.stream_key;
    if (impl_->cache->needs().cue_hint) facts.cue_blocks = context.cue_blocks;
    impl_->cache->Reset(facts);
    const Result<torch::Tensor> instruction = impl_->reader->Read(context.instruction);
    if (!instruction.ok()) return instruction.status();
    impl_->reader->Release();
    impl_->instruction_tokens = impl_->net->InstructionTokens(*instruction);
    return FeedInstruction(impl_->net, *instruction, *impl_->cache);
  } catch (const std::exception& e) {
    return InternalError(fmt::format("policy at the instruction: {}", e.what()));
  }
}

Result<Inference> Vla::Infer(const FrameInput& input) {
  const PolicyConfig& config = impl_->config;
  const size_t image_bytes = size_t{3} * config.image_size * config.image_size;
  if (input.images.size() != config.cameras.size() ||
      std::any_of(input.images.begin(), input.images.end(),
                  [&](const auto& image) { return image.size() != image_bytes; })) {
    return BadInput(fmt::format("the policy wants {} RGB images of {}x{}", config.cameras.size(),
                                config.image_size, config.image_size));
  }
  try {
    const c10::InferenceMode inference_mode;
    Inference inference;
    double begin = impl_->clock();
    const torch::Tensor block = impl_->Encode(input);
    inference.cost.latency.encode_ms = impl_->clock() - begin;

    begin = impl_->clock();
    const Result<torch::Tensor> hidden = impl_->window
                                             ? impl_->window->Feed(impl_->net, block, *impl_->cache)
                                             : FeedBlock(impl_->net, block, *impl_->cache);
    if (!hidden.ok()) return hidden.status();
    inference.cost.latency.linear_ms =
        impl_->clock() - begin;  // attention is taken out in Measure()

    begin = impl_->clock();
    const HeadOutputs heads = impl_->net->Heads(
        *hidden, torch::tensor(torch::ArrayRef<float>(input.proprio)).to(impl_->device));
    const torch::Tensor motion = heads.motion.cpu().contiguous();
    const torch::Tensor gripper = heads.gripper.cpu().contiguous();
    const float* m = motion.data_ptr<float>();
    for (int step = 0; step < config.replan_steps; ++step, m += kTargetDim - 1) {
      const auto scale = static_cast<float>(VlaNetImpl::kPositionScale);
      const float close = gripper.data_ptr<float>()[step] > 0 ? 1.0F : -1.0F;
      inference.targets.push_back(
          {m[0] * scale, m[1] * scale, m[2] * scale, m[3], m[4], m[5], close});
    }
    inference.cost.latency.act_ms = impl_->clock() - begin;

    if (Status status = impl_->cache->EndBlock(); !status.ok()) return status;
    impl_->Measure(&inference);
    return inference;
  } catch (const std::exception& e) {
    return InternalError(fmt::format("policy: {}", e.what()));
  }
}

void Vla::SetRetention(double threshold, int budget_chunks) {
  impl_->cache->policy().SetRetention(static_cast<float>(threshold), budget_chunks);
}

void Vla::ReportAttention(bool on) { impl_->cache->ReportAttention(on); }

const PolicyConfig& Vla::config() const { return impl_->config; }
int Vla::instruction_tokens() const { return impl_->instruction_tokens; }

}  // namespace kvla

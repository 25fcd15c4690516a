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
#include "policy/compact/cpu/cpu_net.h"
#include "policy/compact/net/device_net.h"
#include "policy/compact/net/net_flops.h"
#include "policy/compact/net/recomputed_window.h"
#include "policy/compact/net/recurrent_feed.h"
#include "policy/compact/text/instruction_reader.h"
#include "policy/frame_check.h"
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

Status CheckMemory(const PolicySpec& policy, const CacheConfig& cache) {
  if (!policy.recurrent) return {};
  if (cache.policy != "full") {
    return BadInput(fmt::format(
        "cache.policy {}: this policy remembers in a state of its own (policy.memory: recurrent) "
        "and holds nothing that a cache method could keep or drop; leave cache.policy at full",
        cache.policy));
  }
  if (cache.storage == "f32") return {};
  return BadInput(fmt::format(
      "cache.storage {}: this policy remembers in a state of its own (policy.memory: recurrent), "
      "which is f32; leave cache.storage at f32",
      cache.storage));
}

PolicySpec SpecOf(const PolicyConfig& config) {
  PolicySpec spec;
  for (const std::string& camera : config.cameras) {
    spec.cameras.push_back({camera, config.image_size, config.image_size});
  }
  spec.replan_steps = config.replan_steps;
  spec.tokens_per_block = config.decoder_tokens();
  spec.recurrent = config.recurrent();
  spec.window_blocks = config.window_blocks;
  spec.chunk_blocks = config.chunk_blocks;
  spec.attention = GeometryOf(config, 0, 0);
  return spec;
}

struct Vla::Model {
  std::filesystem::path checkpoint;
  PolicyConfig config;
  PolicySpec spec;
  std::unique_ptr<BlockForward> net;
  std::optional<InstructionReader> reader;
  torch::Device device{torch::kCPU};
  NetFlops net_flops;
  MsClock clock;
};

struct Vla::Episode : Session {
  Model* model = nullptr;
  std::unique_ptr<KvCache> cache;
  std::optional<RecomputedWindow> window;  // where the method wants it anew at every inference
  RecurrentState state;                    // of a recurrent policy; else empty
  int instruction = 0;                     // its tokens

  Status BeginEpisode(const EpisodeContext& context) override;
  int instruction_tokens() const override { return instruction; }
  void SetRetention(double threshold, int budget_chunks) override {
    cache->policy().SetRetention(static_cast<float>(threshold), budget_chunks);
  }
  // A recurrent policy has no chunks that it could say anything of.
  void ReportAttention(bool on) override {
    cache->ReportAttention(on && !model->config.recurrent());
  }

  std::vector<int> HeldChunks() const override { return cache->HeldChunks(); }
  Status TakeOverChunks(const Session& from, std::span<const int> chunks) override;

  // Adds what the cache knows of this inference to what the pass has measured.
  void Measure(Inference* inference) const;
};

Status Vla::Episode::BeginEpisode(const EpisodeContext& context) {
  try {
    const c10::InferenceMode inference_mode;
    EpisodeFacts facts;
    facts.stream_key = context.stream_key;
    if (cache->needs().cue_hint) facts.cue_blocks = context.cue_blocks;
    cache->Reset(facts);
    const Result<torch::Tensor> read = model->reader->Read(context.instruction);
    if (!read.ok()) return read.status();
    model->reader->Release();
    instruction = model->config.reads_sentences() ? model->config.instruction_tokens
                                                  : static_cast<int>(read->size(0));
    if (model->config.recurrent()) state = model->net->BeginState(*read);
    return model->net->ReadInstruction(*read, *cache);
  } catch (const std::exception& e) {
    return InternalError(fmt::format("policy at the instruction: {}", e.what()));
  }
}

Status Vla::Episode::TakeOverChunks(const Session& from, std::span<const int> chunks) {
  if (model->config.recurrent()) return Session::TakeOverChunks(from, chunks);
  const auto* other = dynamic_cast<const Episode*>(&from);
  if (other == nullptr || other->model != model) {
    return BadInput("chunks can be taken over from a session of the same policy alone");
  }
  try {
    const c10::InferenceMode inference_mode;
    return cache->TakeOver(*other->cache, chunks);
  } catch (const std::exception& e) {
    return InternalError(fmt::format("policy at taking over chunks: {}", e.what()));
  }
}

void Vla::Episode::Measure(Inference* inference) const {
  const CacheStats& stats = cache->stats();
  const RecomputedWindow::Work before = window ? window->work() : RecomputedWindow::Work();
  InferenceCost& cost = inference->cost;
  const LatencyParts measured = cost.latency;  // encode, linear and act: the cache knows the rest
  cost = stats.cost;
  cost.latency.attend_ms += before.attend_ms - stats.report_ms - before.report_ms;
  cost.latency.encode_ms = measured.encode_ms;
  cost.latency.linear_ms = measured.linear_ms;
  cost.latency.act_ms = measured.act_ms;
  cost.method_bytes = *cost.method_bytes + (window ? window->held_bytes() : 0) + state.bytes();
  inference->attention = cache->received();
  const int blocks = before.blocks + 1;
  const double attended = (before.attended_tokens + stats.cost.attended_tokens) / blocks;
  const PolicyConfig& config = model->config;
  FlopParts flops = DecoderFlops(cache->geometry(), {config.hidden_size, config.intermediate_size},
                                 config.decoder_tokens() * blocks, attended);
  flops.encode = model->net_flops.encode + model->net_flops.memory;
  flops.heads = model->net_flops.heads;
  flops.gate = stats.gate_flops;
  cost.flops = flops.total();
  inference->changes = cache->TakeChangedDecisions();
}

// One call of Infer(): encode, decoder and heads once for all its episodes.
class Vla::Pass {
 public:
  Pass(Model* model, std::span<const InferRequest> requests)
      : model_(model), results_(requests.size(), Result<Inference>(Inference())) {
    for (size_t i = 0; i < requests.size(); ++i) {
      if (Status status = CheckFrame(model_->spec, *requests[i].input); !status.ok()) {
        results_[i] = std::move(status);
      } else {
        due_.push_back({i, static_cast<Episode*>(requests[i].session), requests[i].input});
      }
    }
  }

  std::vector<Result<Inference>> Run() {
    try {
      const c10::InferenceMode inference_mode;
      if (!due_.empty()) Encode();
      if (!due_.empty()) Decode();
      if (!due_.empty()) Act();
    } catch (const std::exception& e) {
      for (const Due& due : due_) {
        results_[due.request] = InternalError(fmt::format("policy: {}", e.what()));
      }
    }
    return std::move(results_);
  }

 private:
  struct Due {
    size_t request;
    Episode* episode;
    const FrameInput* input;
  };

  LatencyParts& latency(const Due& due) { return results_[due.request]->cost.latency; }
  std::span<float> block(size_t i) {
    const size_t size =
        static_cast<size_t>(model_->config.tokens_per_block()) * model_->config.hidden_size;
    return std::span(blocks_).subspan(i * size, size);
  }
  std::vector<const FrameInput*> inputs() const {
    std::vector<const FrameInput*> inputs;
    for (const Due& due : due_) inputs.push_back(due.input);
    return inputs;
  }
  // Shared out evenly over all of the pass.
  void Share(double LatencyParts::*part, double ms) {
    for (const Due& due : due_) latency(due).*part = ms / static_cast<double>(due_.size());
  }

  void Encode() {
    const double begin = model_->clock();
    blocks_.resize(due_.size() * block(0).size());
    model_->net->Encode(inputs(), blocks_.data());
    Share(&LatencyParts::encode_ms, model_->clock() - begin);
  }

  void Decode() {
    if (model_->config.recurrent()) return DecodeRecurrent();
    // Those whose window is computed anew feed several blocks, each by itself.
    std::vector<Due> together;
    std::vector<KvCache*> caches;
    std::vector<float> shared;
    std::vector<Due> alone_due;
    std::vector<float> alone_blocks;
    for (size_t i = 0; i < due_.size(); ++i) {
      const Due& due = due_[i];
      KvCache& cache = *due.episode->cache;
      if (!due.episode->window) {
        if (Status status = cache.BeginBlock(); !status.ok()) {
          results_[due.request] = std::move(status);
          continue;
        }
        together.push_back(due);
        caches.push_back(&cache);
        shared.insert(shared.end(), block(i).begin(), block(i).end());
        continue;
      }
      const double begin = model_->clock();
      Status status = due.episode->window->Feed(*model_->net, block(i), cache);
      if (!status.ok()) {
        results_[due.request] = std::move(status);
        continue;
      }
      const double attend_ms =
          cache.stats().cost.latency.attend_ms + due.episode->window->work().attend_ms;
      latency(due).linear_ms = model_->clock() - begin - attend_ms;
      alone_due.push_back(due);
      alone_blocks.insert(alone_blocks.end(), block(i).begin(), block(i).end());
    }
    if (!together.empty()) {
      const double begin = model_->clock();
      model_->net->Feed(caches, shared.data());
      ShareLinear(model_->clock() - begin, caches, together);
    }
    due_ = std::move(together);
    due_.insert(due_.end(), alone_due.begin(), alone_due.end());
    blocks_ = std::move(shared);
    blocks_.insert(blocks_.end(), alone_blocks.begin(), alone_blocks.end());
  }

  void DecodeRecurrent() {
    std::vector<KvCache*> caches;
    std::vector<RecurrentState*> states;
    for (const Due& due : due_) {
      caches.push_back(due.episode->cache.get());
      states.push_back(&due.episode->state);
    }
    const double begin = model_->clock();
    const Status status =
        FeedRecurrent(*model_->net, model_->config, caches, states, blocks_.data());
    ShareLinear(model_->clock() - begin, caches, due_);
    if (status.ok()) return;
    for (const Due& due : due_) results_[due.request] = status;
    due_.clear();
  }

  // What a pass of the decoder took for these, without the attention of their caches.
  void ShareLinear(double ms, std::span<KvCache* const> caches, const std::vector<Due>& dues) {
    for (const KvCache* cache : caches) ms -= cache->stats().cost.latency.attend_ms;
    for (const Due& due : dues) latency(due).linear_ms = ms / static_cast<double>(dues.size());
  }

  void Act() {
    const double begin = model_->clock();
    std::vector<BlockForward::Targets> targets(due_.size());
    model_->net->Act(inputs(), blocks_.data(), targets);
    Share(&LatencyParts::act_ms, model_->clock() - begin);
    for (size_t i = 0; i < due_.size(); ++i) {
      const Due& due = due_[i];
      // A recurrent policy's block has ended already.
      Status status = model_->config.recurrent() ? Status() : due.episode->cache->EndBlock();
      if (!status.ok()) {
        results_[due.request] = std::move(status);
        continue;
      }
      results_[due.request]->targets = std::move(targets[i]);
      due.episode->Measure(&*results_[due.request]);
    }
  }

  Model* model_;
  std::vector<Result<Inference>> results_;
  std::vector<Due> due_;
  std::vector<float> blocks_;  // [due, tokens_per_block, hidden]: encoded, then what the heads read
};

Vla::Vla(std::unique_ptr<Model> model) : model_(std::move(model)) {}
Vla::~Vla() = default;

Result<std::unique_ptr<Vla>> Vla::Load(const Options& options) {
  try {
    torch::set_num_threads(options.threads);
    Result<torch::Device> device = DeviceOf(options.device);
    if (!device.ok()) return device.status();
    Result<Checkpoint> checkpoint = LoadCheckpoint(options.checkpoint);
    if (!checkpoint.ok()) return checkpoint.status();
    auto model = std::make_unique<Model>();
    model->checkpoint = options.checkpoint;
    model->config = checkpoint->config;
    model->spec = SpecOf(checkpoint->config);
    model->device = *device;
    model->net_flops = NetFlopsOf(checkpoint->net);
    model->clock = options.clock;
    Result<InstructionReader> reader =
        InstructionReader::Create(model->config, options.text_encoder);
    if (!reader.ok()) return reader.status();
    model->reader = *std::move(reader);
    if (device->is_cpu()) {
      model->net = std::make_unique<CpuNet>(*checkpoint->net);
    } else {
      checkpoint->net->to(*device);
      checkpoint->net->eval();
      model->net = std::make_unique<DeviceNet>(checkpoint->net, *device);
    }
    return std::unique_ptr<Vla>(new Vla(std::move(model)));
  } catch (const std::exception& e) {
    return InternalError(fmt::format("{}: {}", options.checkpoint.string(), e.what()));
  }
}

Result<std::unique_ptr<Session>> Vla::NewSession(const SessionOptions& options) {
  try {
    if (Status fits = CheckMemory(model_->spec, options.cache); !fits.ok()) return fits;
    const CacheGeometry geometry = GeometryOf(model_->config, model_->config.instruction_capacity(),
                                              model_->config.recurrent() ? 1 : options.max_blocks);
    Result<std::unique_ptr<CachePolicy>> method = MakeCachePolicy(options.cache, geometry);
    if (!method.ok()) return method.status();
    if (!options.cache.gate.empty()) {
      Status fits = CheckGatePolicy(options.cache.gate, model_->checkpoint);
      if (!fits.ok()) return fits;
    }
    Result<std::unique_ptr<KvCache>> cache =
        KvCache::Create(geometry, options.cache, *std::move(method), model_->device, options.clock);
    if (!cache.ok()) return cache.status();
    auto episode = std::make_unique<Episode>();
    episode->model = model_.get();
    episode->cache = *std::move(cache);
    if (episode->cache->needs().window_again) episode->window.emplace();
    return std::unique_ptr<Session>(std::move(episode));
  } catch (const std::exception& e) {
    return InternalError(fmt::format("a session of {}: {}", model_->checkpoint.string(), e.what()));
  }
}

std::vector<Result<Inference>> Vla::Infer(std::span<const InferRequest> requests) {
  return Pass(model_.get(), requests).Run();
}

const PolicySpec& Vla::spec() const { return model_->spec; }
const PolicyConfig& Vla::config() const { return model_->config; }

}  // namespace kvla

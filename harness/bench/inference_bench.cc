// SPDX-License-Identifier: Apache-2.0
#include "harness/bench/inference_bench.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "harness/bench/arm_settings.h"
#include "harness/bench/expert_play.h"
#include "kv_efficient/cost_model.h"
#include "kv_efficient/methods/method_table.h"
#include "policy/compact/checkpoint.h"
#include "policy/compact/cpu/cpu_net.h"
#include "policy/compact/net/device_net.h"
#include "policy/compact/net/net_flops.h"
#include "policy/compact/net/recomputed_window.h"
#include "policy/compact/text/instruction_reader.h"
#include "policy/compact/text/text_encoder_files.h"
#include "policy/compact/vla.h"

namespace kvla {
namespace {

constexpr const char* kTask = "count_presses";

// An episode as far as its cache goes.
struct Episode {
  std::unique_ptr<KvCache> cache;
  std::optional<RecomputedWindow> window;

  Episode Clone() const { return {cache->Clone(), window}; }
};

// Milliseconds of one pass, or of several.
struct PassTimes {
  LatencyParts parts;
  double whole_ms = 0;
};

// The policy's pass (Vla::Infer), each of its parts by itself.
class Pass {
 public:
  Pass(BlockForward& net, const PolicyConfig& config) : net_(net), config_(config) {}

  Status Run(std::span<Episode> episodes, std::span<const FrameInput* const> inputs,
             PassTimes* times) {
    const c10::InferenceMode inference_mode;
    const double begin = ThreadMs();
    const size_t block = static_cast<size_t>(config_.tokens_per_block()) * config_.hidden_size;
    blocks_.resize(episodes.size() * block);
    net_.Encode(inputs, blocks_.data());
    const double encoded = ThreadMs();
    if (Status status = Decode(episodes, block); !status.ok()) return status;
    const double decoded = ThreadMs();
    targets_.resize(episodes.size());
    net_.Act(inputs, blocks_.data(), targets_);
    const double acted = ThreadMs();
    for (Episode& episode : episodes) {
      if (Status status = episode.cache->EndBlock(); !status.ok()) return status;
    }
    times->whole_ms += ThreadMs() - begin;
    times->parts.encode_ms += encoded - begin;
    times->parts.linear_ms += decoded - encoded;
    times->parts.act_ms += acted - decoded;
    for (const Episode& episode : episodes) {
      const LatencyParts& cache = episode.cache->stats().cost.latency;
      const double attend_ms =
          cache.attend_ms + (episode.window ? episode.window->work().attend_ms : 0);
      times->parts.attend_ms += attend_ms;
      times->parts.linear_ms -= attend_ms;
      times->parts.gate_ms += cache.gate_ms;
      times->parts.compact_ms += cache.compact_ms;
    }
    return {};
  }

 private:
  Status Decode(std::span<Episode> episodes, size_t block) {
    caches_.clear();
    for (size_t i = 0; i < episodes.size(); ++i) {
      Episode& episode = episodes[i];
      if (episode.window) {
        const std::span<float> own = std::span(blocks_).subspan(i * block, block);
        Status status = episode.window->Feed(net_, own, *episode.cache);
        if (!status.ok()) return status;
      } else {
        if (Status status = episode.cache->BeginBlock(); !status.ok()) return status;
        caches_.push_back(episode.cache.get());
      }
    }
    if (!caches_.empty()) net_.Feed(caches_, blocks_.data());
    return {};
  }

  BlockForward& net_;
  PolicyConfig config_;
  std::vector<float> blocks_;
  std::vector<BlockForward::Targets> targets_;
  std::vector<KvCache*> caches_;
};

// The parts' work, summed over some inferences.
struct Work {
  FlopParts flops;
  double attended_tokens = 0;
  int inferences = 0;
};

// One line of the table: so many episodes, each with so much history.
struct Point {
  int history = 0, batch = 0;
  const Episode* begin = nullptr;
  Samples encode, linear, attend, gate, compact, act, whole, reference;
  Work work;
};

class Bench {
 public:
  static Result<std::unique_ptr<Bench>> Create(const InferenceBenchOptions& options);
  Status Measure(double seconds);
  Result<BenchReport> Report() const;

 private:
  explicit Bench(const InferenceBenchOptions& options) : options_(options) {}
  int BlocksOf(int history) const;
  Status Grow();
  std::vector<const FrameInput*> Inputs(int batch, int block) const;
  Status Take(Point* point, bool reference, bool kept);
  void Count(const Episode& episode, Work* work) const;
  nlohmann::json Row(const Point& point) const;

  InferenceBenchOptions options_;
  PolicyConfig config_;
  CacheConfig cache_;
  NetFlops net_flops_;
  std::unique_ptr<CpuNet> net_;
  std::unique_ptr<DeviceNet> reference_;
  std::optional<ExpertFrames> frames_;
  Episode first_;                 // right after the instruction
  std::map<int, Episode> grown_;  // by blocks
  std::vector<Point> points_;
  MachineLimits limits_;
};

Result<std::unique_ptr<Bench>> Bench::Create(const InferenceBenchOptions& options) {
  std::unique_ptr<Bench> bench(new Bench(options));
  Result<Checkpoint> checkpoint = LoadCheckpoint(options.checkpoint);
  if (!checkpoint.ok()) return checkpoint.status();
  Status keeps = CheckKeepsCache(checkpoint->config, options.checkpoint.string());
  if (!keeps.ok()) return keeps;
  checkpoint->net->eval();
  const PolicyConfig& config = bench->config_ = checkpoint->config;
  const PolicySpec spec = SpecOf(config);
  const Result<CacheConfig> cache = ArmOf(options.method, spec, options.checkpoint);
  if (!cache.ok()) return cache.status();
  bench->cache_ = *cache;
  bench->net_flops_ = NetFlopsOf(checkpoint->net);
  bench->net_ = std::make_unique<CpuNet>(*checkpoint->net);
  bench->reference_ = std::make_unique<DeviceNet>(checkpoint->net, torch::Device(torch::kCPU));

  const int longest = *std::ranges::max_element(options.history_tokens);
  const int blocks = longest / config.tokens_per_block() + config.chunk_blocks;
  Result<ExpertFrames> frames = ExpertFrames::Record(options.asset_root, kTask, spec, blocks);
  if (!frames.ok()) return frames.status();
  bench->frames_ = *std::move(frames);

  const CacheGeometry geometry = GeometryOf(config, config.instruction_capacity(), blocks);
  Result<std::unique_ptr<KvCache>> made =
      KvCache::Create(geometry, *cache, torch::Device(torch::kCPU), ThreadMs);
  if (!made.ok()) return made.status();
  bench->first_.cache = *std::move(made);
  if (bench->first_.cache->needs().window_again) bench->first_.window.emplace();
  Result<InstructionReader> reader =
      InstructionReader::Create(config, TextEncoderFolder(options.asset_root));
  if (!reader.ok()) return reader.status();
  const Result<torch::Tensor> read = reader->Read("press the button");
  if (!read.ok()) return read.status();
  Status status = bench->net_->ReadInstruction(*read, *bench->first_.cache);
  if (!status.ok()) return status;
  if (status = bench->Grow(); !status.ok()) return status;
  return bench;
}

// Whole chunks, so that a chunk leaves at the end of what is measured, where one does.
int Bench::BlocksOf(int history) const {
  const int own = history - static_cast<int>(first_.cache->store().held_tokens() /
                                             first_.cache->geometry().lanes());
  const int blocks = std::max(own, 0) / config_.tokens_per_block();
  return blocks / config_.chunk_blocks * config_.chunk_blocks;
}

Status Bench::Grow() {
  std::vector<int> lengths;
  for (const int history : options_.history_tokens) lengths.push_back(BlocksOf(history));
  Episode episode = first_.Clone();
  Pass pass(*net_, config_);
  PassTimes times;
  const int longest = *std::ranges::max_element(lengths);
  for (int block = 0;; ++block) {
    if (std::ranges::count(lengths, block) > 0) grown_.emplace(block, episode.Clone());
    if (block == longest) break;
    Status status = pass.Run({&episode, 1}, Inputs(1, block), &times);
    if (!status.ok()) return status;
  }
  for (const int history : options_.history_tokens) {
    for (const int batch : options_.batches) {
      Point& point = points_.emplace_back();
      point.history = history;
      point.batch = batch;
      point.begin = &grown_.at(BlocksOf(history));
    }
  }
  return {};
}

// Episodes of a batch see different frames.
std::vector<const FrameInput*> Bench::Inputs(int batch, int block) const {
  std::vector<const FrameInput*> inputs;
  for (int i = 0; i < batch; ++i) inputs.push_back(&frames_->at(block + i));
  return inputs;
}

// The inferences of one chunk.
Status Bench::Take(Point* point, bool reference, bool kept) {
  std::vector<Episode> episodes;
  for (int i = 0; i < point->batch; ++i) episodes.push_back(point->begin->Clone());
  BlockForward& net = reference ? static_cast<BlockForward&>(*reference_) : *net_;
  Pass pass(net, config_);
  PassTimes times;
  for (int i = 0; i < config_.chunk_blocks; ++i) {
    Status status =
        pass.Run(episodes, Inputs(point->batch, point->begin->cache->blocks() + i), &times);
    if (!status.ok()) return status;
    if (reference || !kept) continue;
    for (const Episode& episode : episodes) Count(episode, &point->work);
  }
  if (!kept) return {};
  const double inferences = config_.chunk_blocks * point->batch;
  if (reference) {
    point->reference.Add(times.whole_ms / inferences);
    return {};
  }
  point->whole.Add(times.whole_ms / inferences);
  point->encode.Add(times.parts.encode_ms / inferences);
  point->linear.Add(times.parts.linear_ms / inferences);
  point->attend.Add(times.parts.attend_ms / inferences);
  point->gate.Add(times.parts.gate_ms / inferences);
  point->compact.Add(times.parts.compact_ms / inferences);
  point->act.Add(times.parts.act_ms / inferences);
  return {};
}

void Bench::Count(const Episode& episode, Work* work) const {
  const CacheStats& stats = episode.cache->stats();
  const RecomputedWindow::Work before =
      episode.window ? episode.window->work() : RecomputedWindow::Work();
  const int blocks = before.blocks + 1;
  const double attended = before.attended_tokens + stats.cost.attended_tokens;
  const FlopParts decoder =
      DecoderFlops(episode.cache->geometry(), {config_.hidden_size, config_.intermediate_size},
                   config_.tokens_per_block() * blocks, attended / blocks);
  work->flops.encode += net_flops_.encode;
  work->flops.linear += decoder.linear;
  work->flops.attention += decoder.attention;
  work->flops.heads += net_flops_.heads;
  work->flops.gate += stats.gate_flops;
  work->attended_tokens += stats.cost.attended_tokens;
  ++work->inferences;
}

Status Bench::Measure(double seconds) {
  std::vector<Turn> turns = limits_.turns();
  for (Point& point : points_) {
    for (const bool reference : {false, true}) {
      turns.emplace_back(
          [this, &point, reference](bool kept) { return Take(&point, reference, kept); });
    }
  }
  return TakeTurns(turns, seconds);
}

nlohmann::json Bench::Row(const Point& point) const {
  const Work& work = point.work;
  const double flops = work.flops.total() / work.inferences;
  nlohmann::json row = {{"method", options_.method},
                        {"history_tokens", point.history},
                        {"history_blocks", point.begin->cache->blocks()},
                        {"attended_tokens_mean", work.attended_tokens / work.inferences},
                        {"batch", point.batch},
                        {"samples", point.whole.count()},
                        {"mflop", flops / 1e6}};
  PutTimes("encode", point.encode, &row);
  PutTimes("linear", point.linear, &row);
  PutTimes("attend", point.attend, &row);
  PutTimes("gate", point.gate, &row);
  PutTimes("compact", point.compact, &row);
  PutTimes("act", point.act, &row);
  PutTimes("inference", point.whole, &row);
  PutTimes("libtorch_inference", point.reference, &row);
  row["ratio_to_libtorch"] = Ratio(point.whole, point.reference);
  const auto share = [&](double sum, const Samples& samples) {
    return sum / work.inferences / (samples.median() / 1000) / limits_.flops_per_s();
  };
  row["encode_gemm_share"] = share(work.flops.encode, point.encode);
  row["linear_gemm_share"] = share(work.flops.linear, point.linear);
  row["attend_gemm_share"] = share(work.flops.attention, point.attend);
  row["act_gemm_share"] = share(work.flops.heads, point.act);
  row["inference_gemm_share"] = share(work.flops.total(), point.whole);
  row["inference_gflop_per_s"] = flops / 1e9 / (point.whole.median() / 1000);
  return row;
}

Result<BenchReport> Bench::Report() const {
  BenchReport report{limits_.Json()};
  for (const Point& point : points_) report.rows.push_back(Row(point));
  return report;
}

}  // namespace

Result<BenchReport> BenchInference(const InferenceBenchOptions& options) {
  if (options.history_tokens.empty() || options.batches.empty()) {
    return BadInput("nothing to measure: give a history and a batch");
  }
  try {
    Result<std::unique_ptr<Bench>> bench = Bench::Create(options);
    if (!bench.ok()) return bench.status();
    if (Status status = (*bench)->Measure(options.seconds); !status.ok()) return status;
    return (*bench)->Report();
  } catch (const c10::Error& e) {
    return InternalError(fmt::format("bench: {}", e.what_without_backtrace()));
  }
}

}  // namespace kvla

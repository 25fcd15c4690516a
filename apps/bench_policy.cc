// SPDX-License-Identifier: Apache-2.0
#include "apps/bench_policy.h"

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "apps/bench_table.h"
#include "apps/suite_flags.h"
#include "base/streams.h"
#include "harness/bench/attention_bench.h"
#include "harness/bench/compact_bench.h"
#include "harness/bench/episode_bench.h"
#include "harness/bench/gate_bench.h"
#include "harness/bench/inference_bench.h"
#include "harness/eval/run_config.h"

namespace kvla {
namespace {

// What all of them take; a bench reads what it declares.
struct PolicyBenchFlags {
  double seconds = 10;
  bool json = false;
  std::string checkpoint = "policy/weights/suite", method = "full";
  std::string gate, task = "recall_color", delay;
  TaskOptions suite;
  std::vector<int> history = {345, 690, 1808, 4345}, batch = {1};
  std::vector<int> tokens = {1024, 4096, 16384};
  int kv_heads = 2, rows = 16, head_dim = 32;
};

struct BenchCommand {
  const char* name;
  const char* help;
  std::vector<BenchColumn> columns;
  std::string legend;
  std::function<Result<BenchReport>(const AppContext&, const PolicyBenchFlags&)> run;
};

CLI::App* Add(CLI::App& bench, const AppContext& context, BenchCommand command,
              const std::shared_ptr<PolicyBenchFlags>& flags, int* exit_code) {
  CLI::App* app = bench.add_subcommand(command.name, command.help);
  app->add_option("--seconds", flags->seconds, "Seconds in all, beside what is made ready")
      ->check(CLI::Range(0.01, 3600.0))
      ->capture_default_str();
  app->add_flag("--json", flags->json, "For programs: every figure, medians and means");
  app->callback([command = std::move(command), flags, &context, exit_code] {
    UseOneCore();
    const Result<BenchReport> report = command.run(context, *flags);
    if (!report.ok()) {
      *exit_code = ReportStatus(report.status());
      return;
    }
    PrintText(flags->json ? BenchJson(*report)
                          : BenchTable(*report, command.columns, command.legend));
  });
  return app;
}

std::filesystem::path CheckpointOf(const AppContext& context, const PolicyBenchFlags& flags) {
  return ResolvePath(flags.checkpoint, context.asset_root);
}

void AddCheckpoint(CLI::App* app, PolicyBenchFlags* flags) {
  app->add_option("--checkpoint", flags->checkpoint, "Folder of the policy")->capture_default_str();
}

void AddMethod(CLI::App* app, PolicyBenchFlags* flags) {
  app->add_option("--method", flags->method,
                  "Cache method (kvla list caches), with the settings of the suite's studies")
      ->capture_default_str();
}

void AddHistory(CLI::App* app, PolicyBenchFlags* flags) {
  app->add_option("--history", flags->history, "Tokens that the episode has appended before")
      ->check(CLI::Range(1, 65536))
      ->capture_default_str();
}

void AddInference(CLI::App& bench, const AppContext& context, int* exit_code) {
  auto flags = std::make_shared<PolicyBenchFlags>();
  BenchCommand command{
      "inference",
      "One inference of the policy by part, and the same net by LibTorch",
      {{"history_tokens", "history", 7},
       {"attended_tokens_mean", "attends", 9},
       {"batch", "batch", 6},
       {"encode_ms_median", "encode", 7, 3},
       {"linear_ms_median", "linear", 7, 3},
       {"attend_ms_median", "attend", 7, 3},
       {"gate_ms_median", "gate", 6, 3},
       {"compact_ms_median", "compact", 8, 3},
       {"act_ms_median", "act", 6, 3},
       {"inference_ms_median", "whole", 7, 3},
       {"inference_ms_mean", "(mean)", 7, 3},
       {"mflop", "MFLOP", 7, 1},
       {"inference_gemm_share", "GEMM", 6, 0, 100},
       {"ratio_to_libtorch", "ratio", 7, 2}},
      "Milliseconds of the thread, medians, an inference of one episode; history and attended keys in\n"
      "tokens; MFLOP by the cost model; GEMM: % of its rate; ratio: to the same net by LibTorch.",
      [](const AppContext& context, const PolicyBenchFlags& flags) {
        return BenchInference({.asset_root = context.asset_root,
                               .checkpoint = CheckpointOf(context, flags),
                               .method = flags.method,
                               .history_tokens = flags.history,
                               .batches = flags.batch,
                               .seconds = flags.seconds});
      }};
  CLI::App* app = Add(bench, context, std::move(command), flags, exit_code);
  AddCheckpoint(app, flags.get());
  AddMethod(app, flags.get());
  AddHistory(app, flags.get());
  app->add_option("--batch", flags->batch, "Episodes that go through one pass")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
}

void AddAttention(CLI::App& bench, const AppContext& context, int* exit_code) {
  auto flags = std::make_shared<PolicyBenchFlags>();
  BenchCommand command{
      "attention",
      "Ragged attention of one layer, and LibTorch's fused attention over contiguous tensors",
      {{"tokens", "tokens", 7},
       {"vectors", "vectors", 8},
       {"one_region_ms_median", "ms", 9, 4},
       {"one_region_ms_mean", "(mean)", 9, 4},
       {"libtorch_ms_median", "LibTorch", 9, 4},
       {"one_region_ratio_to_libtorch", "ratio", 7, 2},
       {"two_regions_ratio_to_libtorch", "two", 6, 2},
       {"ragged_ratio_to_equal", "ragged", 7, 2},
       {"gflop_per_s", "GFLOP/s", 9, 1},
       {"gemm_share", "GEMM", 6, 0, 100},
       {"gbyte_per_s", "GB/s", 7, 1},
       {"copy_share", "copy", 6, 0, 100}},
      "Milliseconds of the thread, medians; ratio: to LibTorch's fused attention; two: the same with the\n"
      "keys in two regions; ragged: lanes of n/2 and 3n/2 tokens to lanes of n. GEMM, copy: % of their\n"
      "rates; bytes are those of keys and values.",
      [](const AppContext&, const PolicyBenchFlags& flags) {
        return BenchAttention({.tokens = flags.tokens,
                               .kv_heads = flags.kv_heads,
                               .rows = flags.rows,
                               .head_dim = flags.head_dim,
                               .seconds = flags.seconds});
      }};
  CLI::App* app = Add(bench, context, std::move(command), flags, exit_code);
  app->add_option("--tokens", flags->tokens, "Cached tokens of a lane")
      ->check(CLI::Range(1, 10000000))
      ->capture_default_str();
  app->add_option("--kv-heads", flags->kv_heads, "Key-value heads")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app->add_option("--rows", flags->rows, "Query heads of a key-value head x tokens of a block")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  app->add_option("--head-dim", flags->head_dim, "Width of a head")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
}

void AddGate(CLI::App& bench, const AppContext& context, int* exit_code) {
  auto flags = std::make_shared<PolicyBenchFlags>();
  flags->gate = flags->checkpoint + "/gate.safetensors";
  BenchCommand command{
      "gate",
      "One step of the learned gate, and the same by LibTorch",
      {{"chunk_tokens", "tokens", 7},
       {"features", "features", 10},
       {"hidden", "hidden", 8},
       {"step_ms_median", "ms", 9, 4},
       {"step_ms_mean", "(mean)", 9, 4},
       {"libtorch_step_ms_median", "LibTorch", 10, 4},
       {"ratio_to_libtorch", "ratio", 8, 2},
       {"mflop", "MFLOP", 8, 2},
       {"gflop_per_s", "GFLOP/s", 9, 1},
       {"gemm_share", "GEMM", 6, 0, 100}},
      "Milliseconds of the thread a chunk, medians; ratio: of our time to LibTorch's; GEMM: % of "
      "its rate.",
      [](const AppContext& context, const PolicyBenchFlags& flags) {
        return BenchGate(ResolvePath(flags.gate, context.asset_root), flags.seconds);
      }};
  CLI::App* app = Add(bench, context, std::move(command), flags, exit_code);
  app->add_option("--gate", flags->gate, "Its file")->capture_default_str();
}

void AddCompact(CLI::App& bench, const AppContext& context, int* exit_code) {
  auto flags = std::make_shared<PolicyBenchFlags>();
  BenchCommand command{
      "compact",
      "The end of a block when a chunk leaves the window: kept, moved, "
      "compressed or dropped",
      {{"history_tokens", "history", 8},
       {"cached_tokens", "cached", 8},
       {"action", "chunk", 18},
       {"end_block_ms_median", "EndBlock", 10, 4},
       {"end_block_ms_mean", "(mean)", 9, 4},
       {"compact_ms_median", "compact", 9, 4},
       {"transient_bytes", "extra bytes", 13}},
      "Milliseconds of the thread, medians. The history goes on to the next block after which a\n"
      "chunk leaves. Extra bytes: the largest temporary.",
      [](const AppContext& context, const PolicyBenchFlags& flags) {
        return BenchCompact({.checkpoint = CheckpointOf(context, flags),
                             .history_tokens = flags.history,
                             .seconds = flags.seconds});
      }};
  CLI::App* app = Add(bench, context, std::move(command), flags, exit_code);
  AddCheckpoint(app, flags.get());
  AddHistory(app, flags.get());
}

void AddEpisodes(CLI::App& bench, const AppContext& context, int* exit_code) {
  auto flags = std::make_shared<PolicyBenchFlags>();
  flags->seconds = 30;
  BenchCommand command{
      "episodes",
      "Whole episodes of one worker: how many a second, and where the time goes",
      {{"task", "task", 14},
       {"delay", "delay", 7},
       {"method", "method", 11},
       {"batch", "batch", 6},
       {"episodes", "episodes", 9},
       {"episodes_per_s", "a second", 9, 3},
       {"episode_ms_median", "ms", 8},
       {"episode_ms_mean", "(mean)", 8},
       {"control_steps_per_s", "steps/s", 8, 1},
       {"render_share", "render", 7, 0, 100},
       {"policy_share", "policy", 7, 0, 100},
       {"physics_share", "rest", 6, 0, 100}},
      "Validation episodes, played by the policy; milliseconds on the clock. Of them, in %:\n"
      "rendering, the policy, and the rest (physics, the task's script, the loop).",
      [](const AppContext& context, const PolicyBenchFlags& flags) {
        return BenchEpisodes({.asset_root = context.asset_root,
                              .checkpoint = CheckpointOf(context, flags),
                              .method = flags.method,
                              .task = flags.task,
                              .delay = flags.delay,
                              .suite = flags.suite,
                              .batch = flags.batch.front(),
                              .seconds = flags.seconds});
      }};
  CLI::App* app = Add(bench, context, std::move(command), flags, exit_code);
  AddCheckpoint(app, flags.get());
  AddMethod(app, flags.get());
  app->add_option("--batch", flags->batch.front(), "Episodes that are stepped together")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  app->add_option("--task", flags->task, "Task (kvla list tasks)")->capture_default_str();
  app->add_option("--delay", flags->delay, "Its delay; the task's first without it");
  AddSuiteFlags(*app, &flags->suite);
}

}  // namespace

void AddPolicyBenches(CLI::App& bench, const AppContext& context, int* exit_code) {
  AddInference(bench, context, exit_code);
  AddAttention(bench, context, exit_code);
  AddGate(bench, context, exit_code);
  AddCompact(bench, context, exit_code);
  AddEpisodes(bench, context, exit_code);
}

}  // namespace kvla

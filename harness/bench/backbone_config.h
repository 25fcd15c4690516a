// SPDX-License-Identifier: Apache-2.0
// What `kvla bench backbones` measures. No torch.
#ifndef KVLA_HARNESS_BENCH_BACKBONE_CONFIG_H_
#define KVLA_HARNESS_BENCH_BACKBONE_CONFIG_H_

#include <string>
#include <vector>

#include "base/config_fields.h"
#include "base/status.h"

namespace kvla {

struct BackboneBenchConfig {
  std::string name = "backbones";
  std::vector<std::string> backbones = {"openvla", "cogact", "hybridvla", "pi0", "smolvla"};
  std::vector<int> inferences = {1, 4, 16, 32, 64, 125, 250, 500};
  std::vector<double> rho = {0.015, 0.05, 0.13};
  int window_blocks = 16;
  int chunk_blocks = 4;
  int gate_hidden = 64;
  double layer_seconds = 20;
  double history_seconds = 5;
  int rounds = 3;
  double memory_gb = 5;

  template <class V>
  void Fields(V& v) {
    v("name", name, "what the study is called");
    v("backbones", backbones, "shapes: openvla, cogact, hybridvla, pi0, smolvla");
    v("inferences", inferences, Range{1, 100000},
      "histories: inferences of an episode, the one that is measured included");
    v("rho", rho, Range{0.0, 1.0}, "share of the old chunks that the gated arms keep, one each");
    v("window_blocks", window_blocks, Range{0, 4096}, "newest inferences, always kept whole");
    v("chunk_blocks", chunk_blocks, Range{1, 256}, "inferences a chunk");
    v("gate_hidden", gate_hidden, Range{1, 10000}, "width of the gate");
    v("layer_seconds", layer_seconds, Range{0, 3600}, "a backbone, on its layers");
    v("history_seconds", history_seconds, Range{0, 3600}, "a history, on its attention");
    v("rounds", rounds, Range{2, 1000}, "at least, in either; the first one only warms");
    v("memory_gb", memory_gb, Range{1e-6, 10000},
      "most that one layer's keys and values may take; longer histories are extrapolated");
  }
};

// BadInput: an unknown backbone, nothing to measure, histories that do not ascend.
Status CheckBackboneBench(const BackboneBenchConfig& config);

}  // namespace kvla

#endif  // KVLA_HARNESS_BENCH_BACKBONE_CONFIG_H_

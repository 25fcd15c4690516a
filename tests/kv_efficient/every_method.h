// SPDX-License-Identifier: Apache-2.0
// The settings under which every method is tested, gates included. Includes torch.
#ifndef KVLA_TESTS_KV_EFFICIENT_EVERY_METHOD_H_
#define KVLA_TESTS_KV_EFFICIENT_EVERY_METHOD_H_

#include <string>
#include <vector>

#include "kv_efficient/methods/learned/chunk_gate.h"
#include "kv_efficient/methods/learned/write_gate.h"
#include "kv_efficient/methods/method_table.h"
#include "tensors/safetensors.h"
#include "tests/kv_efficient/episodes.h"
#include "tests/scratch_dir.h"

namespace kvla {

// A gate of random weights that keeps about half of the chunks of a random episode.
inline std::string SaveRandomGate(const ScratchDir& folder, const CacheGeometry& g,
                                  const CacheConfig& c) {
  torch::manual_seed(5);
  ChunkGate gate(GateShape{g.gate_features(), c.chunk_blocks * g.tokens_per_block, 64});
  {
    torch::NoGradGuard no_grad;
    for (auto& p : gate->parameters()) p.mul_(4);
  }
  const std::string path = (folder / "gate.safetensors").string();
  const Status s = SaveGate(gate, path, {});
  EXPECT_TRUE(s.ok()) << s.message();
  return path;
}

// A write gate of random weights that admits about half of the tokens of a random episode.
inline std::string SaveRandomWriteGate(const ScratchDir& folder, const CacheGeometry& g,
                                       const std::string& method) {
  torch::manual_seed(6);
  WriteGateShape shape{g.layers, g.kv_heads, g.head_dim};
  if (method == "dms") shape.hidden = 0;
  WriteGate gate(shape);
  {
    torch::NoGradGuard no_grad;
    gate->named_parameters()["out_weight"].mul_(4);
    gate->named_parameters()["out_bias"].zero_();
  }
  const std::string path = (folder / (method + ".safetensors")).string();
  const Status s = SaveWriteGate(gate, method, path, {});
  EXPECT_TRUE(s.ok()) << s.message();
  return path;
}

// The settings under which every method is tested.
inline std::vector<CacheConfig> EveryMethod(const ScratchDir& folder, const CacheGeometry& g) {
  std::vector<CacheConfig> all;
  for (const CacheMethod& method : CacheMethods()) {
    std::vector<CacheConfig> own = {SmallConfig(method.name)};
    if (method.usual_budget > 0 && method.has_budget()) own[0].budget_chunks = 3;
    if (method.name == "gated") own[0].gate = SaveRandomGate(folder, g, own[0]);
    if (method.reads("gate") && method.name != "gated") {
      own[0].gate = SaveRandomWriteGate(folder, g, method.name);
      own.push_back(own[0]);
      own.back().budget_tokens = 10;
    }
    if (method.reads("sink_chunks")) own[0].sink_chunks = 2;
    if (method.reads("read_chunks")) own[0].read_chunks = 3;
    if (method.usual_budget > 0 && !method.has_budget()) {
      own[0].budget_tokens = 10;
      own.push_back(own[0]);
      own.back().budget_of = "layer";
    }
    if (method.reads("band_chunks")) own[0].band_first = own[0].band_chunks = 2;
    if (method.has_budget() && method.usual_budget == 0) {
      own.push_back(own[0]);
      own.back().budget_chunks = 3;
    }
    const size_t whole = own.size();
    for (size_t c = 0; method.reads("keep") && c < whole; ++c) {
      own.push_back(own[c]);
      own.back().keep = "compressed";
    }
    all.insert(all.end(), own.begin(), own.end());
  }
  return all;
}

}  // namespace kvla

#endif  // KVLA_TESTS_KV_EFFICIENT_EVERY_METHOD_H_

#include "kv_efficient/cache_policy_list.h"

#include <fmt/format.h>

#include "kv_efficient/fixed_policies.h"
#include "kv_efficient/gated_policy.h"
#include "kv_efficient/safetensors.h"

namespace kvla {
namespace {

Result<std::unique_ptr<CachePolicy>> LoadGated(const CacheConfig& c,
                                               const CacheGeometry& geometry) {
  Result<LoadedGate> gate = LoadGate(c.gate);
  if (!gate.ok()) return gate.status();
  const GateShape& shape = gate->gate->shape();
  const int chunk_tokens = c.chunk_blocks * geometry.tokens_per_block;
  if (shape.features != geometry.gate_features() || shape.chunk_tokens != chunk_tokens) {
    return BadInput(fmt::format(
        "gate '{}' was trained for chunks of {} tokens "
        "with {} features; this decoder and cache have "
        "{} tokens and {} features",
        c.gate, shape.chunk_tokens, shape.features, chunk_tokens, geometry.gate_features()));
  }
  return MakeGated(gate->gate, {.keep = KeepAction(c),
                                .threshold = static_cast<float>(c.threshold),
                                .budget_chunks = c.budget_chunks});
}

}  // namespace

const std::vector<CachePolicyInfo>& CachePolicies() {
  static const std::vector<CachePolicyInfo> list = {
      {"full", "keeps every token", false, {}},
      {"window", "keeps the instruction and the window", false, {}},
      {"recompute",
       "the window, computed anew from its frames at every inference: a control, in which nothing "
       "that left can live on in the keys and values of what stayed",
       false,
       {}},
      {"sink_window", "keeps also the first chunks", false, {"sink_chunks", "keep"}},
      {"random", "keeps chunks by chance", false, {"keep_rate", "budget_chunks", "keep"}},
      {"mean_pool", "compresses every old chunk to one token per slot", false, {}},
      {"oracle",
       "keeps the chunks of the cue, which it is told: an upper bound, no method",
       true,
       {"keep"}},
      {"gated",
       "keeps the chunks that a learned gate scores high",
       false,
       {"gate", "threshold", "budget_chunks", "keep"}},
  };
  return list;
}

Result<std::unique_ptr<CachePolicy>> MakeCachePolicy(const CacheConfig& c,
                                                     const CacheGeometry& geometry) {
  if (Status s = ValidateCacheConfig(c); !s.ok()) return s;
  if (Status s = ValidateCacheGeometry(geometry); !s.ok()) return s;
  if (c.policy == "full") return MakeFull();
  if (c.policy == "window") return MakeWindow();
  if (c.policy == "recompute") return MakeRecompute();
  if (c.policy == "sink_window") return MakeSinkWindow(c);
  if (c.policy == "random") return MakeRandom(c);
  if (c.policy == "mean_pool") return MakeMeanPool();
  if (c.policy == "oracle") return MakeOracle(c);
  if (c.policy == "gated") return LoadGated(c, geometry);
  return InternalError(fmt::format("policy '{}' is listed but not made", c.policy));
}

std::string GateKeepWarning(const CacheConfig& c) {
  if (c.gate.empty()) return {};
  const Result<TensorFile> file = ReadSafetensors(c.gate);
  if (!file.ok()) return {};
  const auto trained = file->metadata.find("keep");
  if (trained == file->metadata.end() || trained->second == c.keep) return {};
  return fmt::format(
      "gate '{}' was trained for chunks that are kept {}, this arm keeps them {}: what it calls "
      "useful need not be (set keep: {}, or train it with that)",
      c.gate, trained->second, c.keep, trained->second);
}

}  // namespace kvla

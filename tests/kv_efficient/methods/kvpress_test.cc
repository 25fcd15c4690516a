// SPDX-License-Identifier: Apache-2.0
// Keep-sets on fixed tensors are those of kvpress 0.5.5 (NVIDIA), which
// tests/kv_efficient/data/kvpress_keep_sets.py has written down.
#include "tensors/safetensors.h"
#include "tests/kv_efficient/episodes.h"

namespace kvla {
namespace {

// How a prompt that is scored once becomes a stream: everything leaves at once, or in partitions.
struct Stream {
  const char* kept;  // of the file
  const char* policy;
  const char* budget_of;
  int sinks, window, chunk, budget;
};

class KvpressTest : public testing::TestWithParam<Stream> {};

TEST_P(KvpressTest, TheSameTokensAreKept) {
  const Stream& stream = GetParam();
  const auto file = ReadSafetensors(std::filesystem::path(KVLA_ASSET_ROOT) /
                                    "tests/kv_efficient/data/kvpress_keep_sets.safetensors");
  ASSERT_TRUE(file.ok()) << file.status().message();
  const at::Tensor &keys = file->tensors.at("keys"), &values = file->tensors.at("values"),
                   &queries = file->tensors.at("queries");
  const int tokens = static_cast<int>(keys.size(1));
  CacheGeometry g;
  g.layers = 1;
  g.heads = static_cast<int>(queries.size(0));
  g.kv_heads = static_cast<int>(keys.size(0));
  g.head_dim = static_cast<int>(keys.size(2));
  g.tokens_per_block = 1;
  g.instruction_tokens = stream.sinks;
  g.max_blocks = tokens;
  g.rope_theta = 0;  // they meet as they are
  CacheConfig c;
  c.policy = stream.policy;
  c.window_blocks = stream.window;
  c.chunk_blocks = stream.chunk;
  c.budget_tokens = stream.budget;
  c.budget_of = stream.budget_of;
  auto cache = MakeCache(g, c);
  const Episode e{.q = {queries.narrow(1, stream.sinks, tokens - stream.sinks)},
                  .k = {keys},
                  .v = {values},
                  .blocks = tokens - stream.sinks};
  RunEpisode(*cache, e);

  const at::Tensor& want = file->tensors.at(std::string("kept.") + stream.kept);
  for (int head = 0; head < g.kv_heads; ++head) {
    at::Tensor got = torch::zeros({tokens}, torch::kUInt8);
    for (const FarToken& token : cache->store().far(0, head)) {
      const int at =
          token.chunk < 0 ? token.offset : stream.sinks + token.chunk * stream.chunk + token.offset;
      got[at] = 1;
    }
    got.narrow(0, tokens - stream.window, stream.window).fill_(1);
    EXPECT_TRUE(torch::equal(got, want[head])) << "head " << head << "\n" << got << want[head];
  }
}

INSTANTIATE_TEST_SUITE_P(Every, KvpressTest,
                         testing::Values(Stream{"keydiff", "keydiff", "head", 0, 0, 60, 20},
                                         Stream{"keydiff_layer", "keydiff", "layer", 0, 0, 60, 20},
                                         Stream{"snapkv", "snapkv", "head", 0, 4, 56, 20},
                                         Stream{"tova", "tova", "head", 0, 1, 59, 20},
                                         Stream{"expected_attention", "expected_attention", "head",
                                                0, 0, 60, 20},
                                         Stream{"lagkv", "lagkv", "head", 4, 0, 8, 26}),
                         [](const auto& info) { return info.param.kept; });

}  // namespace
}  // namespace kvla

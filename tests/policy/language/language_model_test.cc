// SPDX-License-Identifier: Apache-2.0
#include "policy/language/language_model.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/files.h"
#include "kv_efficient/methods/method_table.h"
#include "tests/policy/language/tiny_llama.h"
#include "tests/scratch_dir.h"

namespace kvla {
namespace {

using Tensors = std::map<std::string, at::Tensor>;

at::Tensor Norm(const at::Tensor& x, const at::Tensor& weight) {
  return x * torch::rsqrt(x.square().mean(-1, true) + 1e-5) * weight;
}

// As llama.cpp turns them: neighbours 2i and 2i + 1 are a pair. [tokens, heads, width].
at::Tensor TurnPairs(const at::Tensor& x) {
  at::Tensor out = torch::empty_like(x);
  const int64_t width = x.size(2);
  for (int64_t t = 0; t < x.size(0); ++t) {
    for (int64_t i = 0; i < width / 2; ++i) {
      const double angle = static_cast<double>(t) * std::pow(1000.0, -2.0 * i / width);
      const at::Tensor a = x[t].select(1, 2 * i), b = x[t].select(1, 2 * i + 1);
      out[t].select(1, 2 * i).copy_(a * std::cos(angle) - b * std::sin(angle));
      out[t].select(1, 2 * i + 1).copy_(a * std::sin(angle) + b * std::cos(angle));
    }
  }
  return out;
}

// Logits [tokens, vocabulary] of the whole text at once, in double.
at::Tensor PlainLogits(const Tensors& tensors, const std::vector<int64_t>& ids) {
  const auto w = [&](const std::string& name) { return tensors.at(name).to(torch::kFloat64); };
  const auto n = static_cast<int64_t>(ids.size());
  at::Tensor x = w("token_embd.weight").index_select(0, torch::tensor(ids));
  const at::Tensor causal = torch::ones({n, n}, torch::kBool).tril();
  for (int layer = 0; layer < kTinyLayers; ++layer) {
    const std::string at = "blk." + std::to_string(layer) + ".";
    const at::Tensor y = Norm(x, w(at + "attn_norm.weight"));
    const auto heads = [&](const char* name, int count) {
      return torch::matmul(y, w(at + name).t()).view({n, count, -1});
    };
    const at::Tensor q = TurnPairs(heads("attn_q.weight", kTinyHeads));
    const at::Tensor k = TurnPairs(heads("attn_k.weight", kTinyKvHeads));
    const at::Tensor v = heads("attn_v.weight", kTinyKvHeads);
    std::vector<at::Tensor> out;
    for (int h = 0; h < kTinyHeads; ++h) {
      const int of = h / (kTinyHeads / kTinyKvHeads);
      const at::Tensor score =
          torch::matmul(q.select(1, h), k.select(1, of).t()) / std::sqrt(q.size(2));
      const at::Tensor p = score.masked_fill(causal.logical_not(), -INFINITY).softmax(1);
      out.push_back(torch::matmul(p, v.select(1, of)));
    }
    x = x + torch::matmul(torch::cat(out, 1), w(at + "attn_output.weight").t());
    const at::Tensor z = Norm(x, w(at + "ffn_norm.weight"));
    const at::Tensor gate = torch::matmul(z, w(at + "ffn_gate.weight").t());
    const at::Tensor up = torch::matmul(z, w(at + "ffn_up.weight").t());
    x = x + torch::matmul(torch::silu(gate) * up, w(at + "ffn_down.weight").t());
  }
  const at::Tensor out =
      w(tensors.contains("output.weight") ? "output.weight" : "token_embd.weight");
  return torch::matmul(Norm(x, w("output_norm.weight")), out.t());
}

class LanguageModelTest : public testing::Test {
 protected:
  Result<std::unique_ptr<LanguageModel>> Load(const Tensors& tensors) {
    const auto path = folder_ / "tiny.gguf";
    EXPECT_TRUE(WriteFileAtomic(path, TinyLlama(tensors)).ok());
    return LanguageModel::LoadGguf(path);
  }
  ScratchDir folder_;
};

// A window that all tokens leave soon: they stay at their own distances.
TEST_F(LanguageModelTest, TokenByTokenThroughTheCacheIsTheWholeTextAtOnce) {
  for (const bool tied : {true, false}) {
    Tensors tensors = TinyLlamaTensors();
    if (!tied) {
      torch::manual_seed(9);
      tensors["output.weight"] = torch::randn({256, kTinyWidth});
    }
    Result<std::unique_ptr<LanguageModel>> model = Load(tensors);
    ASSERT_TRUE(model.ok()) << model.status().message();
    EXPECT_EQ((*model)->config().tied_output, tied);
    const std::vector<int64_t> ids =
        (*model)->tokenizer().Encode("The cache of a text, 42 tokens!");
    const at::Tensor want = PlainLogits(tensors, ids);
    CacheConfig config;
    config.policy = "full";
    config.window_blocks = 4;
    config.chunk_blocks = 2;
    const CacheGeometry geometry = (*model)->Geometry(64);
    auto cache = KvCache::Create(geometry, config, *MakeCachePolicy(config, geometry), at::kCPU);
    ASSERT_TRUE(cache.ok()) << cache.status().message();
    for (size_t i = 0; i < ids.size(); ++i) {
      const Result<at::Tensor> logits = (*model)->Step(**cache, ids[i]);
      ASSERT_TRUE(logits.ok()) << logits.status().message();
      const at::Tensor difference = *logits - want[static_cast<int64_t>(i)];
      EXPECT_LT(difference.abs().max().item<double>(), 1e-4) << "token " << i;
    }
  }
}

TEST_F(LanguageModelTest, ATensorThatIsMissingTooMuchOrMisshapenIsNamed) {
  const auto expect = [&](const Tensors& tensors, const std::string& name, const char* what) {
    const Status status = Load(tensors).status();
    EXPECT_EQ(status.code(), StatusCode::kBadInput);
    EXPECT_NE(status.message().find(name), std::string::npos) << status.message();
    EXPECT_NE(status.message().find(what), std::string::npos) << status.message();
  };
  const Tensors good = TinyLlamaTensors();
  for (const auto& [name, tensor] : good) {
    Tensors without = good, other = good;
    without.erase(name);
    expect(without, name, "missing");
    other[name] = torch::ones({3, 32});
    expect(other, name, "3x32");
  }
  Tensors more = good;
  more["blk.2.attn_q.weight"] = torch::ones({32, 32});
  expect(more, "blk.2.attn_q.weight", "no place");
}

}  // namespace
}  // namespace kvla

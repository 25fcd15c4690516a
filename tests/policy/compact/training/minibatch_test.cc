// SPDX-License-Identifier: Apache-2.0
#include "policy/compact/training/minibatch.h"

#include <gtest/gtest.h>

#include "policy/compact/net/vla_net.h"
#include "policy/compact/training/encode_episode.h"
#include "policy/compact/training/training_forward.h"
#include "tensors/torch.h"
#include "tests/policy/tiny_policy.h"

namespace kvla {
namespace {

TEST(Batch, BlocksEncodedBeforehandChangeNothing) {
  torch::manual_seed(2);
  VlaNet net(TinyConfig());
  const torch::NoGradGuard no_grad;
  const DemoEpisode episode = TinyEpisode(TinyConfig(), 12, 3, 1);
  Rng rng(1);
  const SubHistory history = DrawSubHistory(episode, {.max_blocks = 100, .chunk_blocks = 2}, rng);
  Batch batch =
      MakeBatch({&episode}, {history}, TinyConfig(), torch::tensor({0, 2, 3, 4}, torch::kInt64));
  const torch::Tensor expected = TrainingForward(net, batch, Told::kNothing).motion;
  batch.encoded = EncodeEpisode(net, episode);
  for (torch::Tensor& camera : batch.images) camera.zero_();  // not looked at
  const torch::Tensor got = TrainingForward(net, batch, Told::kNothing).motion;
  EXPECT_LT((expected - got).abs().max().item<double>(), 1e-5);
}

TEST(Batch, PaddingChangesNothing) {
  torch::manual_seed(2);
  VlaNet net(TinyConfig());
  const torch::NoGradGuard no_grad;
  const DemoEpisode episode = TinyEpisode(TinyConfig(), 12, 3, 1);
  Rng rng(1);
  const SubHistory whole = DrawSubHistory(episode, {.max_blocks = 100, .chunk_blocks = 2}, rng);
  SubHistory shorter = whole;
  shorter.blocks.resize(8);
  shorter.decisions.resize(4);
  const torch::Tensor ids = torch::tensor({0, 2, 3, 4}, torch::kInt64);
  const Batch alone = MakeBatch({&episode}, {shorter}, TinyConfig(), ids);
  const Batch padded = MakeBatch({&episode, &episode}, {shorter, whole}, TinyConfig(), ids);
  const torch::Tensor expected = TrainingForward(net, alone, Told::kNothing).motion[0];
  const torch::Tensor got = TrainingForward(net, padded, Told::kNothing).motion[0].narrow(0, 0, 8);
  EXPECT_LT((expected - got).abs().max().item<double>(), 1e-5);
}

}  // namespace
}  // namespace kvla

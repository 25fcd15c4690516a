// SPDX-License-Identifier: Apache-2.0
// The one file of these tests that needs torch.
#include <gtest/gtest.h>

#include "policy/compact/checkpoint.h"
#include "tensors/torch.h"
#include "tests/harness/test_worker.h"
#include "tests/policy/tiny_policy.h"

namespace kvla {

std::filesystem::path MakeCheckpoint(const std::filesystem::path& to) {
  torch::manual_seed(1);
  VlaNet net(TinyConfig());
  const Status status = SaveCheckpoint(to, net, {{"made", "by a test"}});
  EXPECT_TRUE(status.ok()) << status.message();
  return to;
}

}  // namespace kvla

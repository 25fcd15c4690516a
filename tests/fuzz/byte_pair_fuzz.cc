// SPDX-License-Identifier: Apache-2.0
// tokenizer.json: any bytes are a tokenizer or BadInput; a text that it reads comes back, but for
// what it has no tokens for.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "policy/language/byte_pair.h"
#include "tests/fuzz/scratch_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const kvla::FuzzFolder folder;
  const auto tokenizer = kvla::BytePair::Load(folder.Write("tokenizer.json", data, size));
  if (!tokenizer.ok()) return 0;
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto ids = tokenizer->Encode(text);
  for (const int64_t id : ids) {
    if (id < 0 || id >= tokenizer->size()) abort();
  }
  (void)tokenizer->Decode(ids);
  return 0;
}

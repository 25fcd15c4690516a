// SPDX-License-Identifier: Apache-2.0
// GGUF: any bytes are finite tensors of the file's own numbers, or BadInput; as a language model
// they are one whose tensors fit, or BadInput.
#include <cmath>
#include <cstdint>
#include <cstdlib>

#include "policy/language/language_model.h"
#include "tensors/gguf.h"
#include "tensors/torch.h"
#include "tests/fuzz/scratch_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const kvla::FuzzFolder folder;
  const auto file = kvla::ReadGguf(folder.Write("x.gguf", data, size));
  if (!file.ok()) return 0;
  for (const auto& [name, tensor] : file->tensors) {
    for (int64_t i = 0; i < tensor.numel(); ++i) {
      if (!std::isfinite(tensor.const_data_ptr<float>()[i])) abort();
    }
  }
  (void)kvla::LanguageModel::FromGguf(*file);
  return 0;
}

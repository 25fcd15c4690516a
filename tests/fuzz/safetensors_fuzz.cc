// SPDX-License-Identifier: Apache-2.0
// Safetensors: any bytes are tensors within the file, or BadInput; as weights they are real and
// finite.
#include <cmath>
#include <cstdint>
#include <cstdlib>

#include "tensors/safetensors.h"
#include "tensors/torch.h"
#include "tests/fuzz/scratch_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const kvla::FuzzFolder folder;
  const auto file = kvla::ReadSafetensors(folder.Write("x.safetensors", data, size));
  if (!file.ok()) return 0;
  // Reads every byte of every tensor.
  for (const auto& [name, tensor] : file->tensors) {
    volatile char last = 0;
    const char* bytes = static_cast<const char*>(tensor.const_data_ptr());
    for (size_t i = 0; i < tensor.nbytes(); ++i) last = bytes[i];
    (void)last;
    if (!kvla::CheckWeights(name, tensor).ok()) continue;
    const at::Tensor values = tensor.to(at::kFloat).contiguous();
    for (int64_t i = 0; i < values.numel(); ++i) {
      if (!std::isfinite(values.const_data_ptr<float>()[i])) abort();
    }
  }
  return 0;
}

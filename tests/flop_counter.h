// SPDX-License-Identifier: Apache-2.0
// Counts multiply-adds of the operations that LibTorch is really asked for. Includes torch.
#ifndef KVLA_TESTS_FLOP_COUNTER_H_
#define KVLA_TESTS_FLOP_COUNTER_H_

#include <ATen/record_function.h>

#include <cmath>
#include <memory>
#include <string>

#include "tensors/torch.h"

namespace kvla {

// Counts on its thread while it lives: 2 FLOPs a multiply-add of convolutions, matrix products and
// fused attention. An operation inside a counted one is not counted again. One at a time.
class FlopCounter {
 public:
  FlopCounter() {
    total_ = 0;
    depth_ = 0;
    handle_ = at::addThreadLocalCallback(
        at::RecordFunctionCallback(&FlopCounter::Begin, &FlopCounter::End)
            .needsInputs(true)
            .scopes({at::RecordScope::FUNCTION}));
  }
  ~FlopCounter() { at::removeCallback(handle_); }
  FlopCounter(const FlopCounter&) = delete;
  FlopCounter& operator=(const FlopCounter&) = delete;

  double total() const { return total_; }

 private:
  struct Counted : at::ObserverContext {};

  static double FlopsOf(const std::string& name, c10::ArrayRef<const c10::IValue> in) {
    const auto size = [&](size_t i, int64_t dim) {
      return static_cast<double>(in[i].toTensor().size(dim));
    };
    const auto count = [&](size_t i) { return static_cast<double>(in[i].toTensor().numel()); };
    if (name == "aten::linear") return 2 * count(0) * size(1, 0);
    if (name == "aten::conv2d") {
      double places = size(0, 0);
      for (int d = 0; d < 2; ++d) {
        const auto at = [&](size_t i) {
          const auto list = in[i].toIntVector();
          return static_cast<double>(list[list.size() == 1 ? 0 : static_cast<size_t>(d)]);
        };
        places *= std::floor((size(0, 2 + d) + 2 * at(4) - size(1, 2 + d)) / at(3)) + 1;
      }
      return 2 * places * count(1);
    }
    if (name == "aten::matmul" || name == "aten::mm" || name == "aten::bmm") {
      return 2 * count(0) * size(1, -1);
    }
    if (name == "aten::addmm" || name == "aten::baddbmm") return 2 * count(1) * size(2, -1);
    if (name == "aten::_scaled_dot_product_flash_attention_for_cpu") {
      return 4 * count(0) * size(1, -2);  // as many keys as values: q.k and p.v
    }
    return -1;
  }

  static std::unique_ptr<at::ObserverContext> Begin(const at::RecordFunction& call) {
    const double flops = FlopsOf(call.name(), call.inputs());
    if (flops < 0) return nullptr;
    if (depth_++ == 0) total_ += flops;
    return std::make_unique<Counted>();
  }
  static void End(const at::RecordFunction&, at::ObserverContext* context) {
    if (context != nullptr) --depth_;
  }

  static inline thread_local double total_ = 0;
  static inline thread_local int depth_ = 0;
  at::CallbackHandle handle_;
};

}  // namespace kvla

#endif  // KVLA_TESTS_FLOP_COUNTER_H_

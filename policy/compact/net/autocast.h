// SPDX-License-Identifier: Apache-2.0
// Mixed precision for a scope. Includes torch.
#ifndef KVLA_POLICY_COMPACT_NET_AUTOCAST_H_
#define KVLA_POLICY_COMPACT_NET_AUTOCAST_H_

#include <ATen/autocast_mode.h>

namespace kvla {

// bfloat16 autocast on the CPU of this thread while it lives. No gradient scaling is needed.
class Autocast {
 public:
  explicit Autocast(bool enabled) : before_(at::autocast::is_autocast_enabled(at::kCPU)) {
    at::autocast::set_autocast_dtype(at::kCPU, at::kBFloat16);
    at::autocast::set_autocast_enabled(at::kCPU, enabled);
  }
  ~Autocast() {
    at::autocast::clear_cache();
    at::autocast::set_autocast_enabled(at::kCPU, before_);
  }
  Autocast(const Autocast&) = delete;
  Autocast& operator=(const Autocast&) = delete;

 private:
  bool before_;
};

}  // namespace kvla

#endif  // KVLA_POLICY_COMPACT_NET_AUTOCAST_H_

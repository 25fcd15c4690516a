// SPDX-License-Identifier: Apache-2.0
// A core for one worker alone, among all kvla processes of the machine.
#ifndef KVLA_HARNESS_WORKERS_CORE_LOCK_H_
#define KVLA_HARNESS_WORKERS_CORE_LOCK_H_

#include <optional>
#include <string>

namespace kvla {

// Two workers tied to the same core would each take twice as long, and say so as latencies. Held
// until destroyed; the kernel frees it when the process dies. It keeps other CoreLocks of the same
// network namespace away (a container has its own), and nothing else.
class CoreLock {
 public:
  // The last core that this process may use and that no other CoreLock of `group` has: the first
  // one serves most interrupts. nullopt: there is none.
  static std::optional<CoreLock> Take(const std::string& group = "kvla");

  CoreLock(CoreLock&& other) noexcept;
  CoreLock& operator=(CoreLock&& other) noexcept;
  ~CoreLock();

  int core() const { return core_; }

 private:
  CoreLock(int core, int fd) : core_(core), fd_(fd) {}

  int core_ = -1;
  int fd_ = -1;
};

}  // namespace kvla

#endif  // KVLA_HARNESS_WORKERS_CORE_LOCK_H_

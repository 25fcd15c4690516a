// SPDX-License-Identifier: Apache-2.0
#include "harness/workers/core_lock.h"

#include <fmt/format.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <utility>

namespace kvla {
namespace {

// A socket of that name in the abstract namespace, which has one of each and no files; below 0 if
// there is one.
int BindName(const std::string& name) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  // sun_path[0] stays 0: that is what makes it abstract.
  const size_t length = std::min(name.size(), sizeof(address.sun_path) - 1);
  std::copy_n(name.data(), length, address.sun_path + 1);
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return fd;
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + length);
  if (bind(fd, reinterpret_cast<const sockaddr*>(&address), size) == 0) return fd;
  close(fd);
  return -1;
}

}  // namespace

std::optional<CoreLock> CoreLock::Take(const std::string& group) {
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0) return std::nullopt;
  for (int core = CPU_SETSIZE - 1; core >= 0; --core) {
    if (!CPU_ISSET(core, &allowed)) continue;
    const int fd = BindName(fmt::format("{}/core/{}", group, core));
    if (fd >= 0) return CoreLock(core, fd);
  }
  return std::nullopt;
}

CoreLock::CoreLock(CoreLock&& other) noexcept
    : core_(other.core_), fd_(std::exchange(other.fd_, -1)) {}

CoreLock& CoreLock::operator=(CoreLock&& other) noexcept {
  std::swap(core_, other.core_);
  std::swap(fd_, other.fd_);
  return *this;
}

CoreLock::~CoreLock() {
  if (fd_ >= 0) close(fd_);
}

}  // namespace kvla

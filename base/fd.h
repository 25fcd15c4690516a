// SPDX-License-Identifier: Apache-2.0
// A file descriptor that is closed with its owner.
#ifndef KVLA_BASE_FD_H_
#define KVLA_BASE_FD_H_

#include <unistd.h>

#include <utility>

namespace kvla {

class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) {}  // -1: none, as open() says when it failed
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(const Fd&) = delete;
  ~Fd() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

}  // namespace kvla

#endif  // KVLA_BASE_FD_H_

// SPDX-License-Identifier: Apache-2.0
// An X server without a screen, for tests that open a window.
#ifndef KVLA_TESTS_VIEWER_VIRTUAL_DISPLAY_H_
#define KVLA_TESTS_VIEWER_VIRTUAL_DISPLAY_H_

#include <sys/types.h>

#include <string>

namespace kvla {

// Starts Xvfb on a free display and points DISPLAY at it; stops it and puts DISPLAY back at the
// end.
class VirtualDisplay {
 public:
  VirtualDisplay();
  ~VirtualDisplay();
  VirtualDisplay(const VirtualDisplay&) = delete;
  VirtualDisplay& operator=(const VirtualDisplay&) = delete;

  // Why there is no display, or empty.
  const std::string& error() const { return error_; }

 private:
  void Start();
  void Stop();

  pid_t pid_ = -1;
  std::string previous_;
  std::string error_;
};

}  // namespace kvla

#endif  // KVLA_TESTS_VIEWER_VIRTUAL_DISPLAY_H_

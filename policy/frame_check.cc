// SPDX-License-Identifier: Apache-2.0
#include "policy/frame_check.h"

#include <fmt/format.h>

namespace kvla {

Status CheckFrame(const PolicySpec& spec, const FrameInput& frame) {
  bool fits = frame.images.size() == spec.cameras.size();
  std::string sizes;
  for (size_t i = 0; i < spec.cameras.size(); ++i) {
    const PolicyCamera& c = spec.cameras[i];
    fits = fits && frame.images[i].size() == size_t{3} * c.width * c.height;
    sizes += fmt::format("{}{}x{}", sizes.empty() ? "" : ", ", c.width, c.height);
  }
  return fits ? Status() : BadInput("the policy wants RGB images of " + sizes);
}

}  // namespace kvla

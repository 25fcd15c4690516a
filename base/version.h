// SPDX-License-Identifier: Apache-2.0
#ifndef KVLA_BASE_VERSION_H_
#define KVLA_BASE_VERSION_H_

#include <string_view>

namespace kvla {

// The release, such as "0.1.0".
std::string_view Version();

// The commit that was built, with "-dirty" when the tree had changes; "unknown" outside git.
std::string_view GitCommit();

}  // namespace kvla

#endif  // KVLA_BASE_VERSION_H_

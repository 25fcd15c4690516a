// SPDX-License-Identifier: Apache-2.0
// What a config file may hold beside its fields: other files, items that inherit, grids.
//
//   include: common.yaml              # or a list of files, looked for beside this file
//   arms:
//     - name: base
//       template: true                # only there to be extended
//       cache: {policy: gated, gate: gate.safetensors}
//     - name: gated
//       extends: base                 # all of its keys, but for those that are named here
//       grid: {cache.budget_chunks: [2, 4], cache.keep: [whole, compressed]}
//
// Included files come first, in their order, and this file is laid over them: sections are merged
// key by key, lists of named items by name, other lists are replaced. An item with a `grid` becomes
// one item for every combination of the values, in the order in which they are written. The name
// may say where the values go, as in "gated_{budget_chunks}"; else they are appended:
// "gated-2-whole". `template: true` on an item that an included file brought takes it away.
//
// Errors are BadInput with file, line and the nearest valid name.
#ifndef KVLA_BASE_CONFIG_COMPOSE_H_
#define KVLA_BASE_CONFIG_COMPOSE_H_

#include <filesystem>

#include "base/config_node.h"
#include "base/status.h"

namespace kvla {

// Reads a file with all that it includes, and expands its lists.
Result<ConfigNode> LoadComposedFile(const std::filesystem::path& path);

// Expands `extends`, `template` and `grid` in the lists at the top level of `root`.
Status ExpandLists(ConfigNode* root);

}  // namespace kvla

#endif  // KVLA_BASE_CONFIG_COMPOSE_H_

// SPDX-License-Identifier: Apache-2.0
// The fewest chunks that a loss cannot do without.
#ifndef KVLA_POLICY_COMPACT_GATE_NEEDED_CHUNKS_H_
#define KVLA_POLICY_COMPACT_GATE_NEEDED_CHUNKS_H_

#include <functional>
#include <map>
#include <set>
#include <vector>

namespace kvla {

// Takes groups of `chunks` away as long as the loss of the rest stays below that of all of them
// plus `tolerance`, halving a group that can't go as a whole (delta debugging), and returns each
// chunk that is left with the loss that its going would add. None can go alone; that no smaller set
// would do is not sure. Of chunks that say the same one is left: far apart the first (a later one
// has it from there), side by side the last (it has seen most). Empty where all of them together
// do not take `tolerance` off the loss of none.
std::map<int, double> NeededChunks(const std::vector<int>& chunks,
                                   const std::function<double(const std::set<int>&)>& loss,
                                   double tolerance);

}  // namespace kvla

#endif  // KVLA_POLICY_COMPACT_GATE_NEEDED_CHUNKS_H_

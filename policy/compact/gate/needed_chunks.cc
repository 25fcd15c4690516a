// SPDX-License-Identifier: Apache-2.0
#include "policy/compact/gate/needed_chunks.h"

#include <span>

namespace kvla {
namespace {

// Groups longer than this go from their end, shorter ones from their beginning.
constexpr size_t kNear = 8;

class Pruning {
 public:
  Pruning(const std::vector<int>& chunks, const std::function<double(const std::set<int>&)>& loss,
          double tolerance)
      : left_(chunks.begin(), chunks.end()), loss_(loss), tolerance_(tolerance) {
    all_ = loss_(left_);
  }

  double all() const { return all_; }
  void Halve(std::span<const int> group) {
    if (group.size() < 2) return;
    const auto front = group.first(group.size() / 2), back = group.subspan(group.size() / 2);
    const bool near = group.size() <= kNear;
    Take(near ? front : back);
    Take(near ? back : front);
  }
  const std::set<int>& left() const { return left_; }

 private:
  void Take(std::span<const int> group) {
    std::set<int> rest = left_;
    for (const int chunk : group) rest.erase(chunk);
    if (loss_(rest) < all_ + tolerance_) {
      left_ = std::move(rest);
    } else {
      Halve(group);
    }
  }

  std::set<int> left_;
  const std::function<double(const std::set<int>&)>& loss_;
  double tolerance_, all_ = 0;
};

}  // namespace

std::map<int, double> NeededChunks(const std::vector<int>& chunks,
                                   const std::function<double(const std::set<int>&)>& loss,
                                   double tolerance) {
  std::map<int, double> needed;
  if (chunks.empty()) return needed;
  Pruning pruning(chunks, loss, tolerance);
  if (loss({}) < pruning.all() + tolerance) return needed;
  pruning.Halve(chunks);
  for (const int chunk : pruning.left()) {
    std::set<int> rest = pruning.left();
    rest.erase(chunk);
    needed[chunk] = loss(rest) - pruning.all();
  }
  return needed;
}

}  // namespace kvla

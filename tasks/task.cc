#include "tasks/task.h"

#include <algorithm>

namespace kvla {

double Progress::Fraction() const {
  if (reached.empty()) return 0;
  return static_cast<double>(std::count(reached.begin(), reached.end(), true)) /
         static_cast<double>(reached.size());
}

}  // namespace kvla

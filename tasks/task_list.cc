#include "tasks/task_list.h"

#include <fmt/format.h>

#include "base/text.h"
#include "tasks/pick_place/pick_place.h"
#include "tasks/recall_color/recall_color.h"

namespace kvla {
std::vector<std::string> TaskNames() { return {"recall_color", "pick_place"}; }

Result<std::unique_ptr<Task>> MakeTask(const std::string& name,
                                       const std::filesystem::path& asset_root) {
  std::unique_ptr<Task> task;
  if (name == "recall_color") task = std::make_unique<RecallColor>(asset_root);
  if (name == "pick_place") task = std::make_unique<PickPlace>(asset_root);
  if (task != nullptr) return task;
  return BadInput(fmt::format("unknown task '{}'{}", name, DidYouMean(name, TaskNames())));
}

}  // namespace kvla

// SPDX-License-Identifier: Apache-2.0
#include "tasks/task_list.h"

#include <fmt/format.h>

#include "base/text.h"
#include "tasks/count_presses/count_presses.h"
#include "tasks/match_sample/match_sample.h"
#include "tasks/odd_one_out/odd_one_out.h"
#include "tasks/pick_place/pick_place.h"
#include "tasks/press_named/press_named.h"
#include "tasks/put_back/put_back.h"
#include "tasks/recall_color/recall_color.h"
#include "tasks/repeat_sequence/repeat_sequence.h"
#include "tasks/search_drawers/search_drawers.h"
#include "tasks/shell_game/shell_game.h"
#include "tasks/sort_by_cue/sort_by_cue.h"

namespace kvla {
namespace {

using MakeFn = std::unique_ptr<Task> (*)(const std::filesystem::path&, const TaskOptions&);

template <class T>
std::unique_ptr<Task> Make(const std::filesystem::path& asset_root, const TaskOptions& options) {
  return std::make_unique<T>(asset_root, options);
}

struct Entry {
  const char* name;
  MakeFn make;
};

// Tasks that need their history, then the controls.
constexpr Entry kTasks[] = {
    {"shell_game", Make<ShellGame>},           {"put_back", Make<PutBack>},
    {"recall_color", Make<RecallColor>},       {"match_sample", Make<MatchSample>},
    {"repeat_sequence", Make<RepeatSequence>}, {"count_presses", Make<CountPresses>},
    {"sort_by_cue", Make<SortByCue>},          {"search_drawers", Make<SearchDrawers>},
    {"odd_one_out", Make<OddOneOut>},          {"pick_place", Make<PickPlace>},
    {"press_named", Make<PressNamed>},
};

}  // namespace

std::vector<std::string> TaskNames() {
  std::vector<std::string> names;
  for (const Entry& entry : kTasks) names.emplace_back(entry.name);
  return names;
}

Result<std::unique_ptr<Task>> MakeTask(const std::string& name,
                                       const std::filesystem::path& asset_root,
                                       const TaskOptions& options) {
  for (const Entry& entry : kTasks) {
    if (name == entry.name) return entry.make(asset_root, options);
  }
  return BadInput(fmt::format("unknown task '{}'{}", name, DidYouMean(name, TaskNames())));
}

}  // namespace kvla

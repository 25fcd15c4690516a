// SPDX-License-Identifier: Apache-2.0
// Why an episode went as it went, as far as the cache has to do with it. Pure.
#ifndef KVLA_VIEWER_CUE_STORY_H_
#define KVLA_VIEWER_CUE_STORY_H_

#include <optional>
#include <string>
#include <vector>

#include "viewer/episode_model.h"

namespace kvla {

// What became of one chunk that saw the cue.
struct CueFate {
  int chunk = 0;
  ChunkAction state = ChunkAction::kWindow;
  double look_s = 0;  // the moment of the last decision; of the cue where there is none
  std::string text;   // "chunk 9 (7.2 to 8.0 s): dropped at 11.8 s, score 0.233 < 0.500"
};

struct CueStory {
  std::string headline;  // one sentence for people
  std::vector<CueFate> fates;
  bool needs_memory = false;
  bool lost = false;  // nothing of the cue is left in the cache
};

// As of an inference; `method` with the threshold in force then.
CueStory TellCue(const EpisodeModel& model, int inference, const MethodTraits& method);

// The first control step at which two episodes act differently.
struct Divergence {
  double time_s = 0;
  int control_step = 0;
  float difference = 0;  // largest of an action's seven numbers, which lie in [-1, 1]
};

// Actions count as different from `tolerance` on. Where the traces hold no steps, action chunks are
// compared; none: they never differ, or nothing can be compared.
std::optional<Divergence> FirstDivergence(const EpisodeModel& a, const EpisodeModel& b,
                                          float tolerance);

// The chunk table of an episode, as of an inference.
std::string ChunkTableCsv(const EpisodeModel& model, int inference, const MethodTraits& method);

}  // namespace kvla

#endif  // KVLA_VIEWER_CUE_STORY_H_

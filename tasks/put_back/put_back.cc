// SPDX-License-Identifier: Apache-2.0
#include "tasks/put_back/put_back.h"

#include <algorithm>
#include <cmath>

#include "tasks/buttons.h"
#include "tasks/put_back/put_back_expert.h"

namespace kvla {
namespace {

constexpr double kSeenSeconds = 2;       // that the block is sure to stand on its pad
constexpr double kSecondsToTake = 10;    // from its arrival, to the tray
constexpr double kSecondsToFetch = 6;    // of these, until the hand has it
constexpr double kSecondsPerPress = 4;   // a press is owed for each such stretch of the rest
constexpr double kSecondsToReturn = 12;  // after go
constexpr double kPlaceRadius = 0.05;
constexpr double kRestingHeight = kBlockHalf + 0.006;
constexpr double kLetGoWidth = 0.052;
constexpr int kLitColor = 3;                         // yellow
constexpr std::array<double, 2> kShelf = {1.70, 0};  // where the block waits
constexpr double kScatter = 0.010;

bool RestsAt(const World& world, const std::array<double, 2>& place) {
  const Vec3 block = BlockPosition(world);
  return HorizontalDistance(block, {place[0], place[1], 0}) < kPlaceRadius &&
         block[2] < kRestingHeight && world.arm().GripperWidth(world.data()) > kLetGoWidth;
}

// The lit button and the presses stand for the block's place and its transfers.
constexpr ChoreLayout kLayout = {.go = PutBack::kGo,
                                 .chores = PutBack::kPresses,
                                 .first_place = PutBack::kFirstLit,
                                 .flashes = PutBack::kFlashes,
                                 .go_seconds = {24, 36, 60, 186},
                                 .chore = PutBack::kLit,
                                 .transfers_at_go = PutBack::kPressedAtGo,
                                 .memory = PutBack::kMemorySize};
static_assert(PutBack::kPressed == size_t{PutBack::kLit} + kChoreTransfers);

// The block that is to be ignored: blue, held out violet.
constexpr std::array<std::array<float, 4>, 2> kDecoyRgba = {
    {{0.25f, 0.42f, 0.85f, 1}, {0.58f, 0.26f, 0.72f, 1}}};
constexpr const char* kDecoyClauses[] = {
    "; only the wooden block counts, another color means nothing",
    "; ignore a block that is not of wood",
    "; blocks of any other color than wood do not count",
    "; colored blocks come and go and say nothing, only the wooden one matters",
    "; heed the wooden block alone, never a colored one",
    "; take no account of a block in any color but that of wood",
    "; a colored block is only there to mislead",
    "; disregard whatever block is not a wooden one"};

struct DecoyIds {
  explicit DecoyIds(NameLookup& names)
      : sites(names.Numbered(mjOBJ_SITE, "decoy", PutBack::kPads)) {}
  std::vector<int> sites;  // one on each pad
};

// Chance: the pad is drawn uniformly from four; all of them are empty and alike when the block must
// go back, and the first pad it is put on decides: 1/4. Decoys' pads are drawn without regard to
// it.
TaskInfo Info() {
  TaskInfo info = ChoreTaskInfo("put_back", "place", "");
  info.stages = {{"taken", StageKind::kMotor},
                 {"kept_working", StageKind::kMotor},
                 {"returned", StageKind::kMotor},
                 {"right", StageKind::kDecisive}};
  info.success_rule =
      "final: the block was taken to the tray, the first pad it was put on again is the one where "
      "it had appeared, after the lamp turned white, and a lit button was pressed for every 4 s "
      "before that, but for 10 s that fetching the block takes";
  info.SetInstructions(
      {("press the lit button again and again, take the block to the tray when it appears, and at "
        "the white light put it back on its pad"),
       ("keep pressing whichever button is lit; carry the block to the tray once it is there, and "
        "when the light turns white return it to the pad it came from"),
       ("push the lit buttons, move the block that appears onto the tray, and once the lamp is "
        "white put the block back where it stood"),
       ("remember on which pad the block appears: "
        "bring it to the tray, go on pressing the lit button, "
        "and put it back there when the lamp goes white"),
       ("work the lit buttons, fetch the block to the tray, and after the white light set it down "
        "on its old pad")},
      {("hit each button that glows, bring the cube to the tray when it shows up, and at the white "
        "signal take it back to its former place"),
       ("go on with the glowing buttons, store the block on the tray, and return it to the same pad "
        "when white light appears"),
       ("a block will show up on a pad: lay it on the tray, press buttons until the lamp becomes "
        "white, then restore the block to the pad where you found it")});
  info.chance = 1.0 / PutBack::kPads;
  info.needs_memory = info.has_twin = true;
  info.bits.assign(3, std::log2(PutBack::kPads));
  info.num_targets = info.num_choices = PutBack::kPads;
  return info;
}

}  // namespace

PutBack::PutBack(const std::filesystem::path& asset_root, const TaskOptions& options)
    : ChoreTask(asset_root, options, Info(), kLayout,
                {BindIds<Buttons<kButtons>>, BindIds<DecoyIds>}, kDecoyClauses) {}

std::array<double, 2> PutBack::PadPlace(int pad) { return {0.58, -0.21 + 0.14 * pad}; }
Vec3 PutBack::ButtonPlace(int button) { return {0.42, 0.03 + 0.15 * button, kButtonTop}; }

void PutBack::DrawEpisode(Rng& rng, Scenario* scenario) const {
  Scenario& s = *scenario;
  int arrive = 0, go = 0;
  if (options().CuesAnywhere()) {
    go = GoStep(s);
    arrive = DrawOnset(rng, go, StepOf(kSecondsToFetch));
  } else {
    arrive = StepOf(rng.Uniform(4.0, 8.0));
    const double delay = DrawSeconds(rng, s.delay, {9.0, 12.0}, {17.0, 21.0}, {36.0, 40.0});
    go = arrive + StepOf(kSeenSeconds) + StepOf(delay);
  }
  s.target = DrawClass(rng, kPads, s);
  const double begin_s = arrive * kControlPeriod;
  s.cues = {{begin_s, (arrive + StepOf(kSeenSeconds)) * kControlPeriod}};
  SetGo(rng, go, kSecondsToReturn, scenario);
  s.params[kArrive] = arrive;
  s.params[kPresses] =
      std::max(1.0, std::floor((go * kControlPeriod - kSecondsToTake) / kSecondsPerPress));
  const auto off = DrawScatter(rng, kScatter, options().HeldOut());
  s.params[kX] = off[0];
  s.params[kY] = off[1];
  s.params[kYaw] = rng.Uniform(-0.15, 0.15);
  for (int pad = 0; pad < kPads; ++pad) {
    const auto place = PadPlace(pad);
    s.target_places.push_back({place[0], place[1], kBlockHalf});
  }
  DrawDecoys(rng, StepOf(kSeenSeconds), kPads, {{begin_s, begin_s + kSecondsToTake}}, scenario);
}

void PutBack::PlaceWork(World& world, Rng& rng, const Scenario& scenario) const {
  const double x = kShelf[0] + rng.Uniform(-kScatter, kScatter);
  PlaceBlock(world, x, kShelf[1] + rng.Uniform(-kScatter, kScatter), 0);
  world.data()->userdata[kLit] = scenario.params[kFirstLit];
}

void PutBack::UpdateWork(World& world, const Scenario& scenario) const {
  mjtNum* memory = world.data()->userdata;
  const int step = world.control_steps();
  const auto& params = scenario.params;
  if (step >= params[kArrive] && memory[kArrived] == 0) {
    const auto pad = PadPlace(scenario.target);
    PlaceBlock(world, pad[0] + params[kX], pad[1] + params[kY], params[kYaw]);
    const int joint = world.Ids<TabletopIds>().block.joint;
    mju_zero(world.data()->qvel + world.model()->jnt_dofadr[joint], 6);
    memory[kArrived] = 1;
    world.Forward();
  }
  if (memory[kArrived] > 0 && RestsAt(world, kTray)) memory[kTaken] = 1;
  for (int pad = 0; pad < kPads && memory[kTaken] > 0; ++pad) {
    if (RestsAt(world, PadPlace(pad))) KeepChoice(world, pad, kPlaced);
  }
  const int button = NewlyPressed(world, kButtons, &memory[kDown]);
  if (button == static_cast<int>(memory[kLit])) {
    memory[kPressed] += 1;
    memory[kLit] = 1 - button;
  }
}

std::vector<bool> PutBack::WorkStages(const World& world, bool worked) const {
  return {world.data()->userdata[kTaken] > 0, worked};
}

// A site for each pad, at the place on it that the block has: of nothing but the color can a decoy
// be told from the block, and nothing can knock against it.
void PutBack::ShowDecoy(World& world, const Scenario& scenario) const {
  mjModel* m = world.model();
  const mjtNum* memory = world.data()->userdata;
  const bool on_pad = memory[kArrived] > 0 && memory[kTaken] == 0;  // the block: alone
  const int shown = on_pad ? -1 : DecoyShown(scenario, world.control_steps());
  const auto& params = scenario.params;
  for (int pad = 0; pad < kPads; ++pad) {
    const int site = world.Ids<DecoyIds>().sites[static_cast<size_t>(pad)];
    const auto place = PadPlace(pad);
    const Vec3 position = {place[0] + params[kX], place[1] + params[kY], kBlockHalf};
    const double half = params[kYaw] / 2;
    const std::array<double, 4> turn = {std::cos(half), 0, 0, std::sin(half)};
    std::ranges::copy(position, m->site_pos + 3 * site);
    std::ranges::copy(turn, m->site_quat + 4 * site);
    std::ranges::copy(kDecoyRgba[options().HeldOut() ? 1 : 0], m->site_rgba + 4 * site);
    m->site_rgba[4 * site + 3] = pad == shown ? 1 : 0;
  }
}

void PutBack::Play(World& world, const Scenario& scenario, bool) const {
  ShowDecoy(world, scenario);
  for (int b = 0; b < kButtons; ++b) {
    const bool lit = b == static_cast<int>(world.data()->userdata[kLit]);
    SetCap(world, b, lit ? Lamp::kColor : Lamp::kOff, kLitColor);
  }
}

ChoreTask::Verdict PutBack::Judge(const World& world, const Scenario& scenario) const {
  return FirstChoice(world, scenario, kPlaced, scenario.target);
}

std::unique_ptr<Expert> PutBack::MakeExpert(const Scenario& scenario, bool blind, Rng rng) const {
  return std::make_unique<PutBackExpert>(scenario, blind, rng);
}

}  // namespace kvla

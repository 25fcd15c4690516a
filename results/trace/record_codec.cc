// SPDX-License-Identifier: Apache-2.0
#include "results/trace/record_codec.h"

#include <bit>
#include <exception>
#include <optional>
#include <utility>

#include "results/trace/cbor.h"
#include "results/trace/packed_bytes.h"

namespace kvla {
namespace {

using nlohmann::json;

// The first byte of a block; a change of the packing needs a new number.
constexpr uint8_t kInferencesVersion = 3;
// Read still: memory after the inference alone, pages included; and also without the clock.
constexpr uint8_t kInferencesMemoryAfter = 2;
constexpr uint8_t kInferencesWithoutClock = 1;
constexpr uint8_t kStepsVersion = 2;
constexpr uint8_t kStepsPlain = 1;  // read still: stages and states as they are

void PackLatency(const LatencyParts& l, PackedWriter* out) {
  for (const double part :
       {l.render_ms, l.encode_ms, l.linear_ms, l.attend_ms, l.gate_ms, l.compact_ms, l.act_ms}) {
    out->Raw(static_cast<float>(part));
  }
}

LatencyParts UnpackLatency(PackedReader* in) {
  LatencyParts l;
  for (double* part : {&l.render_ms, &l.encode_ms, &l.linear_ms, &l.attend_ms, &l.gate_ms,
                       &l.compact_ms, &l.act_ms}) {
    *part = in->Raw<float>();
  }
  return l;
}

// What consecutive inferences are stored as differences of.
struct InferenceDeltas {
  int64_t index = -1, step = 0, live = 0, attending = 0, committed = 0, transient = 0, method = 0,
          tokens = 0;
};

// Bytes that may be absent: never negative where they are known.
constexpr int64_t kAbsent = -1;

std::optional<int64_t> KnownBytes(int64_t stored) {
  return stored < 0 ? std::nullopt : std::optional(stored);
}

// Each value as the bits in which it differs from the one before, without leading zero bytes; a
// byte in front of two values says how many bytes each has.
void PackState(const std::vector<double>& state, std::vector<uint64_t>* last, PackedWriter* out) {
  last->resize(state.size(), 0);
  for (size_t i = 0; i < state.size(); i += 2) {
    uint64_t bits[2] = {};
    unsigned kept[2] = {};
    for (size_t k = 0; k < 2 && i + k < state.size(); ++k) {
      const auto now = std::bit_cast<uint64_t>(state[i + k]);
      bits[k] = now ^ (*last)[i + k];
      (*last)[i + k] = now;
      kept[k] = (71 - static_cast<unsigned>(std::countl_zero(bits[k]))) / 8;
    }
    out->Raw(static_cast<uint8_t>(kept[0] | kept[1] << 4));
    for (size_t k = 0; k < 2; ++k) {
      for (unsigned b = 0; b < kept[k]; ++b) out->Raw(static_cast<uint8_t>(bits[k] >> (8 * b)));
    }
  }
}

void UnpackState(PackedReader* in, std::vector<uint64_t>* last, std::vector<double>* state) {
  last->resize(state->size(), 0);
  for (size_t i = 0; i < state->size(); i += 2) {
    const auto lengths = in->Raw<uint8_t>();
    const unsigned kept[2] = {lengths & 15u, static_cast<unsigned>(lengths) >> 4u};
    for (size_t k = 0; k < 2 && i + k < state->size(); ++k) {
      uint64_t bits = 0;
      for (unsigned b = 0; b < kept[k] && b < 8; ++b) {
        bits |= static_cast<uint64_t>(in->Raw<uint8_t>()) << (8 * b);
      }
      (*last)[i + k] ^= bits;
      (*state)[i + k] = std::bit_cast<double>((*last)[i + k]);
    }
  }
}

Status Malformed(const char* what) { return BadInput(std::string("malformed record of ") + what); }

// Runs `read`, which may throw nlohmann's exceptions on a missing or mistyped key.
template <class T, class F>
Result<T> Guard(const char* what, F read) {
  try {
    return read();
  } catch (const std::exception& e) {
    return BadInput(std::string("malformed record of ") + what + ": " + e.what());
  }
}

}  // namespace

std::vector<uint8_t> PackInferences(const std::vector<InferenceEvent>& events, TraceLevel level) {
  PackedWriter out;
  out.Raw(kInferencesVersion);
  out.Unsigned(events.size());
  InferenceDeltas last;
  for (const InferenceEvent& e : events) {
    out.Delta(e.index, &last.index);
    out.Delta(e.control_step, &last.step);
    out.Raw(e.time_s);
    PackLatency(e.cost.latency, &out);
    out.Delta(e.cost.kv_live_bytes, &last.live);
    out.Delta(e.cost.kv_attending_bytes.value_or(kAbsent), &last.attending);
    out.Delta(e.cost.kv_committed_bytes.value_or(kAbsent), &last.committed);
    out.Delta(e.cost.kv_transient_bytes, &last.transient);
    out.Delta(e.cost.method_bytes.value_or(kAbsent), &last.method);
    out.Delta(e.cost.cached_tokens, &last.tokens);
    out.Raw(e.cost.flops);
    out.Raw(static_cast<float>(e.think_s));
    out.Unsigned(static_cast<uint64_t>(e.stale_steps) << 1 | (e.late ? 1 : 0));
    const bool changes = level != TraceLevel::kOff;
    out.Unsigned(changes ? e.changes.size() : 0);
    for (size_t i = 0; changes && i < e.changes.size(); ++i) {
      const ChunkDecision& c = e.changes[i];
      out.Signed(static_cast<uint64_t>(static_cast<int64_t>(c.chunk)));
      out.Raw(static_cast<uint8_t>(c.action));
      out.Raw(c.score);
      out.Raw(static_cast<uint8_t>(c.reason));
    }
    const bool actions = level == TraceLevel::kFull;
    out.Unsigned(actions ? e.action_chunk.size() : 0);
    for (size_t i = 0; actions && i < e.action_chunk.size(); ++i) out.Raw(e.action_chunk[i]);
  }
  return out.Take();
}

Result<std::vector<InferenceEvent>> UnpackInferences(std::span<const uint8_t> bytes) {
  PackedReader in(bytes);
  const auto version = in.Raw<uint8_t>();
  if (version < kInferencesWithoutClock || version > kInferencesVersion) {
    return Malformed("inferences");
  }
  std::vector<InferenceEvent> events(in.Count(48));
  InferenceDeltas last;
  for (InferenceEvent& e : events) {
    e.index = static_cast<int>(in.Delta(&last.index));
    e.control_step = static_cast<int>(in.Delta(&last.step));
    e.time_s = in.Raw<double>();
    e.cost.latency = UnpackLatency(&in);
    e.cost.kv_live_bytes = in.Delta(&last.live);
    if (version > kInferencesMemoryAfter) {
      e.cost.kv_attending_bytes = KnownBytes(in.Delta(&last.attending));
    }
    // The pages of older versions are those that were left after the inference: another figure.
    const int64_t committed = in.Delta(&last.committed);
    if (version > kInferencesMemoryAfter) e.cost.kv_committed_bytes = KnownBytes(committed);
    e.cost.kv_transient_bytes = in.Delta(&last.transient);
    if (version > kInferencesMemoryAfter) e.cost.method_bytes = KnownBytes(in.Delta(&last.method));
    e.cost.cached_tokens = static_cast<int>(in.Delta(&last.tokens));
    e.cost.flops = in.Raw<double>();
    if (version > kInferencesWithoutClock) {
      e.think_s = in.Raw<float>();
      const uint64_t clock = in.Unsigned();
      e.stale_steps = static_cast<int>(clock >> 1 & 0x7fffffff);
      e.late = (clock & 1) != 0;
    }
    e.changes.resize(in.Count(7));
    for (ChunkDecision& c : e.changes) {
      c.chunk = static_cast<int>(in.Signed());
      const auto action = in.Raw<uint8_t>();
      if (action > static_cast<uint8_t>(ChunkAction::kDropped)) return Malformed("inferences");
      c.action = static_cast<ChunkAction>(action);
      c.score = in.Raw<float>();
      c.reason = static_cast<ReasonCode>(in.Raw<uint8_t>());
    }
    e.action_chunk.resize(in.Count(sizeof(float)));
    for (float& value : e.action_chunk) value = in.Raw<float>();
    if (!in.ok()) return Malformed("inferences");
  }
  if (!in.ok() || in.left() != 0) return Malformed("inferences");
  return events;
}

std::vector<uint8_t> PackSteps(const std::vector<StepEvent>& events, TraceLevel level) {
  PackedWriter out;
  out.Raw(kStepsVersion);
  out.Unsigned(level == TraceLevel::kOff ? 0 : events.size());
  int64_t last_step = -1;
  std::vector<bool> last_stages;
  std::vector<uint64_t> last_state;
  for (const StepEvent& e : events) {
    if (level == TraceLevel::kOff) break;
    out.Delta(e.control_step, &last_step);
    for (const float value : e.action) out.Raw(value);
    const bool news = e.stages != last_stages;
    const bool state = level == TraceLevel::kFull && !e.state.empty();
    out.Raw(static_cast<uint8_t>((news ? 1 : 0) | (state ? 2 : 0)));
    if (news) {
      out.Unsigned(e.stages.size());
      for (const bool reached : e.stages) out.Raw(static_cast<uint8_t>(reached));
      last_stages = e.stages;
    }
    if (state) {
      out.Unsigned(e.state.size());
      PackState(e.state, &last_state, &out);
    }
  }
  return out.Take();
}

Result<std::vector<StepEvent>> UnpackSteps(std::span<const uint8_t> bytes) {
  PackedReader in(bytes);
  const auto version = in.Raw<uint8_t>();
  if (version != kStepsVersion && version != kStepsPlain) return Malformed("steps");
  std::vector<StepEvent> events(in.Count(7 * sizeof(float)));
  int64_t last_step = -1;
  std::vector<bool> last_stages;
  std::vector<uint64_t> last_state;
  for (StepEvent& e : events) {
    e.control_step = static_cast<int>(in.Delta(&last_step));
    for (float& value : e.action) value = in.Raw<float>();
    const auto flags = version == kStepsPlain ? uint8_t{1} : in.Raw<uint8_t>();
    if ((flags & 1) != 0) {
      last_stages.assign(in.Count(1), false);
      for (size_t i = 0; i < last_stages.size(); ++i) last_stages[i] = in.Raw<uint8_t>() != 0;
    }
    e.stages = last_stages;
    if (version == kStepsPlain) {
      e.state.resize(in.Count(sizeof(double)));
      for (double& value : e.state) value = in.Raw<double>();
    } else if ((flags & 2) != 0) {
      // Half a byte a value at least.
      const uint64_t size = in.Unsigned();
      if (size > 2 * in.left()) return Malformed("steps");
      e.state.resize(static_cast<size_t>(size));
      UnpackState(&in, &last_state, &e.state);
    }
    if (!in.ok()) return Malformed("steps");
  }
  if (!in.ok() || in.left() != 0) return Malformed("steps");
  return events;
}

json MethodToJson(const MethodTraits& method) {
  json j = {{"scores", method.scores}, {"unit_scores", method.unit_scores}};
  if (method.threshold.has_value()) j["threshold"] = *method.threshold;
  return j;
}

MethodTraits MethodFromJson(const json& j) {
  MethodTraits method;
  j.at("scores").get_to(method.scores);
  j.at("unit_scores").get_to(method.unit_scores);
  if (j.contains("threshold")) method.threshold = j.at("threshold").get<double>();
  return method;
}

namespace {

// What runs from before the suite's second edition do not have.
void ReadSuite(const json& j, EpisodeBegin* begin) {
  if (const auto suite = j.find("suite"); suite != j.end()) suite->get_to(begin->suite);
  begin->twin = j.value("twin", false);
  for (const auto& [key, seconds] :
       {std::pair{"onset_s", &begin->onset_s}, {"wait_s", &begin->wait_s}}) {
    const auto found = j.find(key);
    if (found != j.end() && !found->is_null()) *seconds = found->get<double>();
  }
  const auto decoys = j.find("decoys");
  if (decoys == j.end()) return;
  for (const json& d : *decoys) {
    begin->decoys.push_back({d.at(0).get<double>(), d.at(1).get<double>(), d.at(2).get<int>()});
  }
}

}  // namespace

json BeginToJson(const EpisodeBegin& b) {
  json stages = json::array(), cues = json::array(), decoys = json::array();
  for (const TraceStage& s : b.stages) {
    stages.push_back({{"name", s.name}, {"decisive", s.decisive}});
  }
  for (const TraceCue& c : b.cues) cues.push_back({c.begin_s, c.end_s});
  for (const TraceDecoy& d : b.decoys) decoys.push_back({d.begin_s, d.end_s, d.what});
  const auto known = [](const std::optional<double>& value) {
    return value.has_value() ? json(*value) : json();
  };
  return {{"arm", b.id.arm},
          {"task", b.id.task},
          {"delay", b.id.delay},
          {"seed", b.id.seed},
          {"split", b.split},
          {"run_seed", b.run_seed},
          {"instruction", b.instruction},
          {"scene", b.scene},
          {"cache_policy", b.cache_policy},
          {"method", b.method.has_value() ? MethodToJson(*b.method) : json()},
          {"disturbance", b.disturbance},
          {"suite", b.suite},
          {"twin", b.twin},
          {"onset_s", known(b.onset_s)},
          {"wait_s", known(b.wait_s)},
          {"horizon_steps", b.horizon_steps},
          {"control_rate_hz", b.control_rate_hz},
          {"replan_steps", b.replan_steps},
          {"tokens_per_block", b.tokens_per_block},
          {"chunk_blocks", b.chunk_blocks},
          {"window_blocks", b.window_blocks},
          {"instruction_tokens", b.instruction_tokens},
          {"chance", b.chance},
          {"stages", std::move(stages)},
          {"cues", std::move(cues)},
          {"decoys", std::move(decoys)},
          {"warnings", b.warnings}};
}

Result<EpisodeBegin> BeginFromJson(const json& j) {
  return Guard<EpisodeBegin>("an episode's begin", [&] {
    EpisodeBegin b;
    j.at("arm").get_to(b.id.arm);
    j.at("task").get_to(b.id.task);
    j.at("delay").get_to(b.id.delay);
    j.at("seed").get_to(b.id.seed);
    j.at("split").get_to(b.split);
    j.at("run_seed").get_to(b.run_seed);
    j.at("instruction").get_to(b.instruction);
    j.at("scene").get_to(b.scene);
    j.at("cache_policy").get_to(b.cache_policy);
    if (const auto method = j.find("method"); method != j.end() && !method->is_null()) {
      b.method = MethodFromJson(*method);
    }
    b.disturbance = j.value("disturbance", "none");  // runs before this key had none
    ReadSuite(j, &b);
    j.at("horizon_steps").get_to(b.horizon_steps);
    j.at("control_rate_hz").get_to(b.control_rate_hz);
    j.at("replan_steps").get_to(b.replan_steps);
    j.at("tokens_per_block").get_to(b.tokens_per_block);
    j.at("chunk_blocks").get_to(b.chunk_blocks);
    j.at("window_blocks").get_to(b.window_blocks);
    j.at("instruction_tokens").get_to(b.instruction_tokens);
    j.at("chance").get_to(b.chance);
    for (const json& s : j.at("stages")) {
      b.stages.push_back({s.at("name").get<std::string>(), s.at("decisive").get<bool>()});
    }
    for (const json& c : j.at("cues")) {
      b.cues.push_back({c.at(0).get<double>(), c.at(1).get<double>()});
    }
    j.at("warnings").get_to(b.warnings);
    return b;
  });
}

json EndToJson(const EpisodeEnd& e) {
  return {{"arm", e.id.arm},
          {"task", e.id.task},
          {"delay", e.id.delay},
          {"seed", e.id.seed},
          {"outcome", e.outcome},
          {"success", e.success},
          {"progress", e.progress},
          {"decisive_reached", e.decisive_reached},
          {"decisive_right", e.decisive_right},
          {"motor_ok", e.motor_ok},
          {"steps", e.steps},
          {"state_hash", e.state_hash},
          {"stages", e.stages},
          {"wall_s", e.wall_s},
          {"error", e.error},
          {"comparable", e.comparable}};
}

Result<EpisodeEnd> EndFromJson(const json& j) {
  return Guard<EpisodeEnd>("an episode's end", [&] {
    EpisodeEnd e;
    j.at("arm").get_to(e.id.arm);
    j.at("task").get_to(e.id.task);
    j.at("delay").get_to(e.id.delay);
    j.at("seed").get_to(e.id.seed);
    j.at("outcome").get_to(e.outcome);
    j.at("success").get_to(e.success);
    j.at("progress").get_to(e.progress);
    j.at("decisive_reached").get_to(e.decisive_reached);
    j.at("decisive_right").get_to(e.decisive_right);
    j.at("motor_ok").get_to(e.motor_ok);
    j.at("steps").get_to(e.steps);
    j.at("state_hash").get_to(e.state_hash);
    e.stages = j.at("stages").get<std::vector<bool>>();
    j.at("wall_s").get_to(e.wall_s);
    j.at("error").get_to(e.error);
    e.comparable = j.value("comparable", true);  // runs before this key had no such episodes
    return e;
  });
}

json CommandsToJson(const std::vector<CommandEvent>& commands) {
  json out = json::array();
  for (const CommandEvent& c : commands) {
    out.push_back({c.control_step, c.name, c.text, c.numbers});
  }
  return out;
}

Result<std::vector<CommandEvent>> CommandsFromJson(const json& j) {
  return Guard<std::vector<CommandEvent>>("commands", [&] {
    std::vector<CommandEvent> commands;
    for (const json& c : j) {
      commands.push_back({c.at(0).get<int>(), c.at(1).get<std::string>(),
                          c.at(2).get<std::string>(), c.at(3).get<std::vector<double>>()});
    }
    return commands;
  });
}

std::vector<uint8_t> RecordToCbor(const EpisodeRecord& record) {
  return json::to_cbor(
      {{"begin", BeginToJson(record.begin)},
       {"end", EndToJson(record.end)},
       {"inferences", json::binary(PackInferences(record.inferences, TraceLevel::kFull))},
       {"steps", json::binary(PackSteps(record.steps, TraceLevel::kFull))},
       {"commands", CommandsToJson(record.commands)},
       {"video", record.video}});
}

Result<EpisodeRecord> RecordFromCbor(std::span<const uint8_t> bytes) {
  return Guard<EpisodeRecord>("an episode", [&]() -> Result<EpisodeRecord> {
    const json j = ParseCbor(bytes);
    if (j.is_discarded()) return Malformed("an episode");
    Result<EpisodeBegin> begin = BeginFromJson(j.at("begin"));
    if (!begin.ok()) return begin.status();
    Result<EpisodeEnd> end = EndFromJson(j.at("end"));
    if (!end.ok()) return end.status();
    auto inferences = UnpackInferences(j.at("inferences").get_binary());
    if (!inferences.ok()) return inferences.status();
    auto steps = UnpackSteps(j.at("steps").get_binary());
    if (!steps.ok()) return steps.status();
    auto commands = CommandsFromJson(j.at("commands"));
    if (!commands.ok()) return commands.status();
    return EpisodeRecord{std::move(*begin), std::move(*end),      std::move(*inferences),
                         std::move(*steps), std::move(*commands), j.at("video").get<std::string>()};
  });
}

}  // namespace kvla

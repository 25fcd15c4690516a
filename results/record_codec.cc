#include "results/record_codec.h"

#include <exception>
#include <utility>

#include "results/packing.h"

namespace kvla {
namespace {

using nlohmann::json;

// The first byte of a block; a change of the packing needs a new number.
constexpr uint8_t kInferencesVersion = 1;
constexpr uint8_t kStepsVersion = 1;

void PackLatency(const LatencyParts& l, PackWriter* out) {
  for (const double part :
       {l.render_ms, l.encode_ms, l.linear_ms, l.attend_ms, l.gate_ms, l.compact_ms, l.act_ms}) {
    out->Raw(static_cast<float>(part));
  }
}

LatencyParts UnpackLatency(PackReader* in) {
  LatencyParts l;
  for (double* part : {&l.render_ms, &l.encode_ms, &l.linear_ms, &l.attend_ms, &l.gate_ms,
                       &l.compact_ms, &l.act_ms}) {
    *part = in->Raw<float>();
  }
  return l;
}

// What consecutive inferences are stored as differences of.
struct InferenceDeltas {
  int64_t index = -1, step = 0, live = 0, reserved = 0, transient = 0, tokens = 0;
};

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
  PackWriter out;
  out.Raw(kInferencesVersion);
  out.Unsigned(events.size());
  InferenceDeltas last;
  for (const InferenceEvent& e : events) {
    out.Delta(e.index, &last.index);
    out.Delta(e.control_step, &last.step);
    out.Raw(e.time_s);
    PackLatency(e.latency, &out);
    out.Delta(e.kv_live_bytes, &last.live);
    out.Delta(e.kv_reserved_bytes, &last.reserved);
    out.Delta(e.kv_transient_bytes, &last.transient);
    out.Delta(e.cached_tokens, &last.tokens);
    out.Raw(e.flops);
    const bool changes = level != TraceLevel::kOff;
    out.Unsigned(changes ? e.changes.size() : 0);
    for (size_t i = 0; changes && i < e.changes.size(); ++i) {
      const ChunkChange& c = e.changes[i];
      out.Signed(static_cast<uint64_t>(static_cast<int64_t>(c.chunk)));
      out.Raw(static_cast<uint8_t>(c.action));
      out.Raw(c.score);
      out.Raw(c.reason);
    }
    const bool actions = level == TraceLevel::kFull;
    out.Unsigned(actions ? e.action_chunk.size() : 0);
    for (size_t i = 0; actions && i < e.action_chunk.size(); ++i) out.Raw(e.action_chunk[i]);
  }
  return out.Take();
}

Result<std::vector<InferenceEvent>> UnpackInferences(std::span<const uint8_t> bytes) {
  PackReader in(bytes);
  if (in.Raw<uint8_t>() != kInferencesVersion) return Malformed("inferences");
  std::vector<InferenceEvent> events(in.Count(48));
  InferenceDeltas last;
  for (InferenceEvent& e : events) {
    e.index = static_cast<int>(in.Delta(&last.index));
    e.control_step = static_cast<int>(in.Delta(&last.step));
    e.time_s = in.Raw<double>();
    e.latency = UnpackLatency(&in);
    e.kv_live_bytes = in.Delta(&last.live);
    e.kv_reserved_bytes = in.Delta(&last.reserved);
    e.kv_transient_bytes = in.Delta(&last.transient);
    e.cached_tokens = static_cast<int>(in.Delta(&last.tokens));
    e.flops = in.Raw<double>();
    e.changes.resize(in.Count(7));
    for (ChunkChange& c : e.changes) {
      c.chunk = static_cast<int>(in.Signed());
      const auto action = in.Raw<uint8_t>();
      if (action > static_cast<uint8_t>(ChunkState::kDropped)) return Malformed("inferences");
      c.action = static_cast<ChunkState>(action);
      c.score = in.Raw<float>();
      c.reason = in.Raw<uint8_t>();
    }
    e.action_chunk.resize(in.Count(sizeof(float)));
    for (float& value : e.action_chunk) value = in.Raw<float>();
    if (!in.ok()) return Malformed("inferences");
  }
  if (!in.ok() || in.left() != 0) return Malformed("inferences");
  return events;
}

std::vector<uint8_t> PackSteps(const std::vector<StepEvent>& events) {
  PackWriter out;
  out.Raw(kStepsVersion);
  out.Unsigned(events.size());
  int64_t last = -1;
  for (const StepEvent& e : events) {
    out.Delta(e.control_step, &last);
    for (const float value : e.action) out.Raw(value);
    out.Unsigned(e.stages.size());
    for (const bool reached : e.stages) out.Raw(static_cast<uint8_t>(reached));
    out.Unsigned(e.state.size());
    for (const double value : e.state) out.Raw(value);
  }
  return out.Take();
}

Result<std::vector<StepEvent>> UnpackSteps(std::span<const uint8_t> bytes) {
  PackReader in(bytes);
  if (in.Raw<uint8_t>() != kStepsVersion) return Malformed("steps");
  std::vector<StepEvent> events(in.Count(7 * sizeof(float)));
  int64_t last = -1;
  for (StepEvent& e : events) {
    e.control_step = static_cast<int>(in.Delta(&last));
    for (float& value : e.action) value = in.Raw<float>();
    e.stages.resize(in.Count(1));
    for (size_t i = 0; i < e.stages.size(); ++i) e.stages[i] = in.Raw<uint8_t>() != 0;
    e.state.resize(in.Count(sizeof(double)));
    for (double& value : e.state) value = in.Raw<double>();
    if (!in.ok()) return Malformed("steps");
  }
  if (!in.ok() || in.left() != 0) return Malformed("steps");
  return events;
}

json BeginToJson(const EpisodeBegin& b) {
  json stages = json::array(), cues = json::array();
  for (const TraceStage& s : b.stages)
    stages.push_back({{"name", s.name}, {"decisive", s.decisive}});
  for (const TraceCue& c : b.cues) cues.push_back({c.begin_s, c.end_s});
  return {{"arm", b.id.arm},
          {"task", b.id.task},
          {"delay", b.id.delay},
          {"seed", b.id.seed},
          {"split", b.split},
          {"run_seed", b.run_seed},
          {"instruction", b.instruction},
          {"scene", b.scene},
          {"cache_policy", b.cache_policy},
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
          {"error", e.error}};
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
    return e;
  });
}

std::vector<uint8_t> RecordToCbor(const EpisodeRecord& record) {
  return json::to_cbor(
      {{"begin", BeginToJson(record.begin)},
       {"end", EndToJson(record.end)},
       {"inferences", json::binary(PackInferences(record.inferences, TraceLevel::kFull))},
       {"steps", json::binary(PackSteps(record.steps))}});
}

Result<EpisodeRecord> RecordFromCbor(std::span<const uint8_t> bytes) {
  return Guard<EpisodeRecord>("an episode", [&]() -> Result<EpisodeRecord> {
    const json j = json::from_cbor(bytes.begin(), bytes.end());
    Result<EpisodeBegin> begin = BeginFromJson(j.at("begin"));
    if (!begin.ok()) return begin.status();
    Result<EpisodeEnd> end = EndFromJson(j.at("end"));
    if (!end.ok()) return end.status();
    auto inferences = UnpackInferences(j.at("inferences").get_binary());
    if (!inferences.ok()) return inferences.status();
    auto steps = UnpackSteps(j.at("steps").get_binary());
    if (!steps.ok()) return steps.status();
    return EpisodeRecord{std::move(*begin), std::move(*end), std::move(*inferences),
                         std::move(*steps)};
  });
}

}  // namespace kvla

// SPDX-License-Identifier: Apache-2.0
#include "policy/language/byte_pair.h"

#include <fmt/format.h>
#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <optional>
#include <queue>
#include <tuple>
#include <utility>

#include "base/files.h"
#include "policy/language/pieces.h"

namespace kvla {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kBlankMark = "\u2581";

std::string Utf8(int32_t c) {
  std::array<utf8proc_uint8_t, 4> bytes{};
  const utf8proc_ssize_t size = utf8proc_encode_char(c, bytes.data());
  return {bytes.begin(), bytes.begin() + size};
}

// GPT-2's characters: a printable byte is itself, the others come from U+0100 on.
const std::array<std::string, 256>& ByteCharacters() {
  static const std::array<std::string, 256> all = [] {
    std::array<std::string, 256> made;
    int32_t next = 256;
    for (int32_t b = 0; b < 256; ++b) {
      const bool printable = (b >= '!' && b <= '~') || (b >= 0xa1 && b <= 0xac) || b >= 0xae;
      made[static_cast<size_t>(b)] = Utf8(printable ? b : next++);
    }
    return made;
  }();
  return all;
}

const std::unordered_map<std::string, char>& CharacterBytes() {
  static const std::unordered_map<std::string, char> all = [] {
    std::unordered_map<std::string, char> made;
    for (size_t b = 0; b < 256; ++b) made[ByteCharacters()[b]] = static_cast<char>(b);
    return made;
  }();
  return all;
}

uint64_t PairKey(int32_t a, int32_t b) {
  return uint64_t{static_cast<uint32_t>(a)} << 32 | static_cast<uint32_t>(b);
}

// The size of the character at `at`; 1 for a byte that is no UTF-8.
size_t CharacterSize(std::string_view text, size_t at) {
  utf8proc_int32_t c = 0;
  const utf8proc_ssize_t size =
      utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()) + at,
                       static_cast<utf8proc_ssize_t>(text.size() - at), &c);
  return static_cast<size_t>(std::max<utf8proc_ssize_t>(size, 1));
}

// "a b" or ["a", "b"].
std::optional<std::pair<std::string, std::string>> MergeOf(const Json& node) {
  if (node.is_array() && node.size() == 2 && node[0].is_string() && node[1].is_string()) {
    return std::pair{node[0].get<std::string>(), node[1].get<std::string>()};
  }
  if (!node.is_string()) return std::nullopt;
  const auto& text = node.get_ref<const std::string&>();
  const size_t blank = text.find(' ');
  if (blank == std::string::npos) return std::nullopt;
  return std::pair{text.substr(0, blank), text.substr(blank + 1)};
}

std::string TypeOf(const Json& node) {
  if (!node.is_object() || !node.contains("type") || !node["type"].is_string()) return "";
  return node["type"].get<std::string>();
}

bool Flag(const Json& node, const char* name, bool otherwise) {
  const auto found = node.find(name);
  return found != node.end() && found->is_boolean() ? found->get<bool>() : otherwise;
}

// Of a pre-tokenizer or normalizer, or a sequence of them.
Status ReadStep(const Json& step, PairRules* rules) {
  if (step.is_null()) return {};
  const std::string type = TypeOf(step);
  if (type == "Sequence") {
    for (const char* list : {"pretokenizers", "normalizers"}) {
      if (!step.contains(list) || !step[list].is_array()) continue;
      for (const Json& one : step[list]) {
        if (Status s = ReadStep(one, rules); !s.ok()) return s;
      }
    }
    return {};
  }
  if (type == "Digits" && Flag(step, "individual_digits", false)) {
    rules->digits = true;
    return {};
  }
  if (type == "ByteLevel" && !Flag(step, "add_prefix_space", true)) {
    rules->byte_level = true;
    rules->words = Flag(step, "use_regex", true);
    return {};
  }
  const bool marks =
      step.value("prepend", "") == kBlankMark || step.value("content", "") == kBlankMark;
  if ((type == "Prepend" || type == "Replace") && marks) {
    rules->blank_marks = true;
    return {};
  }
  return BadInput(fmt::format("its step '{}' is not known with these settings: {}", type,
                              step.dump(-1, ' ', false, Json::error_handler_t::replace)));
}

}  // namespace

Result<BytePair> BytePair::Create(std::vector<std::string> tokens,
                                  const std::vector<std::pair<std::string, std::string>>& merges,
                                  std::vector<std::string> whole, PairRules rules) {
  BytePair made;
  made.rules_ = rules;
  made.tokens_ = std::move(tokens);
  for (size_t i = 0; i < made.tokens_.size(); ++i) {
    made.ids_.emplace(made.tokens_[i], static_cast<int32_t>(i));
  }
  const auto id = [&](const std::string& token) {
    const auto found = made.ids_.find(token);
    return found == made.ids_.end() ? -1 : found->second;
  };
  for (size_t i = 0; i < merges.size(); ++i) {
    const auto& [a, b] = merges[i];
    const Merge merge{static_cast<int32_t>(i), id(a + b)};
    if (id(a) < 0 || id(b) < 0 || merge.made < 0) {
      return BadInput(
          fmt::format("merge {}: '{}' and '{}', or both together, are no tokens", i, a, b));
    }
    made.merges_.emplace(PairKey(id(a), id(b)), merge);
  }
  if (!rules.byte_level) {
    made.unknown_ = id("<unk>");
    if (made.unknown_ < 0) return BadInput("there is no token <unk>");
  }
  std::erase(whole, "");
  std::ranges::sort(whole, std::greater<>(), &std::string::size);
  made.whole_ = std::move(whole);
  return made;
}

Result<BytePair> BytePair::FromJson(const Json& file) {
  if (!file.is_object() || TypeOf(file.value("model", Json())) != "BPE") {
    return BadInput("its model is not of type BPE");
  }
  const Json& model = file["model"];
  PairRules rules{.byte_level = false};
  for (const char* part : {"normalizer", "pre_tokenizer"}) {
    if (Status s = ReadStep(file.value(part, Json()), &rules); !s.ok()) return s.In(part);
  }
  if (rules.byte_level == rules.blank_marks) {
    return BadInput("neither byte-level nor with U+2581 for blanks");
  }
  if (rules.blank_marks && !Flag(model, "byte_fallback", false)) {
    return BadInput("blanks are U+2581, but unknown characters do not become bytes");
  }
  const Json vocabulary = model.value("vocab", Json());
  const Json pairs = model.value("merges", Json());
  if (!vocabulary.is_object() || !pairs.is_array()) return BadInput("vocab or merges are missing");
  const Json added = file.value("added_tokens", Json::array());
  std::map<int64_t, std::string> by_id;
  const auto put = [&](const Json& id, const std::string& token) {
    return id.is_number_integer() && id.get<int64_t>() >= 0 && id.get<int64_t>() <= INT32_MAX &&
           by_id.emplace(id.get<int64_t>(), token).first->second == token;
  };
  for (const auto& [token, id] : vocabulary.items()) {
    if (!put(id, token)) {
      return BadInput(fmt::format("the id of '{}' is none, or another's", token));
    }
  }
  std::vector<std::string> whole;
  for (const Json& token : added) {
    const std::string content = token.is_object() ? token.value("content", "") : "";
    if (content.empty() || !put(token.value("id", Json()), content)) {
      return BadInput("an added token has no content, or another's id");
    }
    whole.push_back(content);
  }
  std::vector<std::string> tokens;
  for (const auto& [id, token] : by_id) {
    if (id != std::ssize(tokens)) return BadInput(fmt::format("no token has id {}", tokens.size()));
    tokens.push_back(token);
  }
  std::vector<std::pair<std::string, std::string>> merges;
  for (const Json& pair : pairs) {
    auto merge = MergeOf(pair);
    if (!merge) return BadInput(fmt::format("merge {} is no pair", merges.size()));
    merges.push_back(*std::move(merge));
  }
  return Create(std::move(tokens), merges, std::move(whole), rules);
}

Result<BytePair> BytePair::Load(const std::filesystem::path& path) {
  const Result<std::string> text = ReadFile(path);
  if (!text.ok()) return text.status();
  const Json file = Json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (file.is_discarded()) return BadInput(fmt::format("{}: not JSON", path.string()));
  try {
    Result<BytePair> made = FromJson(file);
    return made.ok() ? std::move(made) : made.status().In(path.string());
  } catch (const Json::exception& e) {
    return BadInput(fmt::format("{}: {}", path.string(), e.what()));
  }
}

Result<BytePair> BytePair::FromGguf(const Json& metadata) {
  const auto text = [&](const char* key) {
    const auto found = metadata.find(key);
    return found != metadata.end() && found->is_string() ? found->get<std::string>() : "";
  };
  const std::string model = text("tokenizer.ggml.model"), pre = text("tokenizer.ggml.pre");
  if (model != "gpt2" || pre != "smollm") {
    return BadInput(fmt::format(
        "tokenizer '{}' with pre-tokenizer '{}'; 'gpt2' with 'smollm' is read", model, pre));
  }
  std::vector<std::string> tokens;
  std::vector<std::pair<std::string, std::string>> merges;
  for (const auto& [key, take] : {std::pair<const char*, bool>{"tokenizer.ggml.tokens", true},
                                  {"tokenizer.ggml.merges", false}}) {
    const auto found = metadata.find(key);
    if (found == metadata.end() || !found->is_array()) {
      return BadInput(fmt::format("no list {}", key));
    }
    for (const Json& item : *found) {
      if (take && item.is_string()) {
        tokens.push_back(item.get<std::string>());
        continue;
      }
      auto merge = MergeOf(item);
      if (take || !merge) return BadInput(fmt::format("{} has an item that is none", key));
      merges.push_back(*std::move(merge));
    }
  }
  // Control tokens are whole wherever they stand, as in the published tokenizer.
  constexpr int kControl = 3;
  std::vector<std::string> whole;
  const auto types = metadata.find("tokenizer.ggml.token_type");
  if (types != metadata.end() && types->is_array() && types->size() == tokens.size()) {
    for (size_t i = 0; i < tokens.size(); ++i) {
      if ((*types)[i] == kControl) whole.push_back(tokens[i]);
    }
  }
  return Create(std::move(tokens), merges, std::move(whole), {.digits = true, .words = true});
}

std::vector<int32_t> BytePair::Characters(std::string_view piece) const {
  std::vector<int32_t> ids;
  if (rules_.byte_level) {
    for (const char c : piece) {
      const auto known = ids_.find(ByteCharacters()[static_cast<uint8_t>(c)]);
      if (known != ids_.end()) ids.push_back(known->second);
    }
    return ids;
  }
  for (size_t at = 0; at < piece.size();) {
    const std::string character(piece.substr(at, CharacterSize(piece, at)));
    at += character.size();
    if (const auto known = ids_.find(character); known != ids_.end()) {
      ids.push_back(known->second);
      continue;
    }
    for (const char c : character) {
      const auto byte = ids_.find(fmt::format("<0x{:02X}>", static_cast<uint8_t>(c)));
      ids.push_back(byte == ids_.end() ? unknown_ : byte->second);
    }
  }
  return ids;
}

// Pairs in the order of their ranks, of equals the leftmost, until no neighbours are a pair. A
// queue of candidates; those that a merge has made stale are passed over.
void BytePair::AppendPiece(std::string_view piece, std::vector<int64_t>* ids) const {
  struct Symbol {
    int32_t id = 0, before = 0, after = 0;  // neighbours; -1: none
  };
  std::vector<Symbol> symbols;
  for (const int32_t id : Characters(piece)) {
    const auto at = static_cast<int32_t>(symbols.size());
    symbols.push_back({id, at - 1, at + 1});
  }
  if (symbols.empty()) return;
  symbols.back().after = -1;
  using Candidate = std::tuple<int32_t, int32_t, int32_t, int32_t>;  // rank, place, both ids
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue;
  const auto offer = [&](int32_t at) {
    if (at < 0 || symbols[at].after < 0) return;
    const int32_t a = symbols[at].id, b = symbols[symbols[at].after].id;
    if (const auto merge = merges_.find(PairKey(a, b)); merge != merges_.end()) {
      queue.emplace(merge->second.rank, at, a, b);
    }
  };
  for (int32_t i = 0; i < std::ssize(symbols); ++i) offer(i);
  while (!queue.empty()) {
    const auto [rank, at, a, b] = queue.top();
    queue.pop();
    Symbol& left = symbols[at];
    if (left.id != a || left.after < 0 || symbols[left.after].id != b) continue;
    Symbol& right = symbols[left.after];
    left.id = merges_.at(PairKey(a, b)).made;
    left.after = right.after;
    right.id = -1;
    if (left.after >= 0) symbols[left.after].before = at;
    offer(left.before);
    offer(at);
  }
  for (int32_t i = 0; i >= 0; i = symbols[i].after) ids->push_back(symbols[i].id);
}

void BytePair::AppendText(std::string_view text, std::vector<int64_t>* ids) const {
  if (text.empty()) return;
  if (rules_.blank_marks) {
    std::string marked(kBlankMark);
    for (const char c : text) c == ' ' ? marked += kBlankMark : marked += c;
    AppendPiece(marked, ids);
    return;
  }
  const std::vector<std::string_view> parts =
      rules_.digits ? SplitDigits(text) : std::vector<std::string_view>{text};
  for (const std::string_view part : parts) {
    if (!rules_.words) {
      AppendPiece(part, ids);
      continue;
    }
    for (const std::string_view piece : SplitWords(part)) AppendPiece(piece, ids);
  }
}

std::vector<int64_t> BytePair::Encode(std::string_view text) const {
  std::vector<int64_t> ids;
  size_t begin = 0;
  for (size_t at = whole_.empty() ? text.size() : 0; at < text.size();) {
    const auto found = std::ranges::find_if(
        whole_, [&](const std::string& token) { return text.substr(at).starts_with(token); });
    if (found == whole_.end()) {
      ++at;
      continue;
    }
    AppendText(text.substr(begin, at - begin), &ids);
    ids.push_back(ids_.at(*found));
    begin = at += found->size();
  }
  AppendText(text.substr(begin), &ids);
  return ids;
}

std::string BytePair::Decode(std::span<const int64_t> ids) const {
  std::string text;
  for (const int64_t id : ids) {
    const std::string& token = tokens_[static_cast<size_t>(id)];
    if (!rules_.byte_level) {
      unsigned byte = 0;
      if (token.size() == 6 && token.starts_with("<0x") && token.back() == '>' &&
          std::sscanf(token.c_str(), "<0x%2X>", &byte) == 1) {
        text += static_cast<char>(byte);
        continue;
      }
      text += token;
      continue;
    }
    for (size_t at = 0; at < token.size();) {
      const std::string character = token.substr(at, CharacterSize(token, at));
      const auto byte = CharacterBytes().find(character);
      // An added token may hold any character.
      byte != CharacterBytes().end() ? text += byte->second : text += character;
      at += character.size();
    }
  }
  if (rules_.blank_marks) {
    for (size_t at = text.find(kBlankMark); at != std::string::npos;
         at = text.find(kBlankMark, at)) {
      text.replace(at, kBlankMark.size(), " ");
    }
    if (text.starts_with(' ')) text.erase(0, 1);
  }
  return text;
}

}  // namespace kvla

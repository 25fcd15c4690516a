// SPDX-License-Identifier: Apache-2.0
#include "results/trace/cbor.h"

#include <cstddef>
#include <string>

namespace kvla {
namespace {

using nlohmann::json;

constexpr int kDeepest = 64;

// Takes everything but what is nested too deep.
class DepthCheck : public nlohmann::json_sax<json> {
 public:
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool key(string_t&) override { return true; }
  bool start_object(size_t) override { return ++depth_ <= kDeepest; }
  bool end_object() override { return --depth_ >= 0; }
  bool start_array(size_t) override { return ++depth_ <= kDeepest; }
  bool end_array() override { return --depth_ >= 0; }
  bool parse_error(size_t, const std::string&, const nlohmann::detail::exception&) override {
    return false;
  }

 private:
  int depth_ = 0;
};

// Whether a string comes in parts of unstated number, which no writer of ours does: the library
// reads a part within a part by recursion, before any check of depth hears of it.
bool HasStringInParts(std::span<const uint8_t> bytes) {
  for (size_t i = 0; i < bytes.size();) {
    const uint8_t head = bytes[i++], major = head >> 5, info = head & 31;
    const bool string = major == 2 || major == 3;
    if (string && info == 31) return true;
    uint64_t argument = info;
    if (info >= 24 && info <= 27) {
      argument = 0;
      for (int n = 1 << (info - 24); n > 0 && i < bytes.size(); --n) {
        argument = argument << 8 | bytes[i++];
      }
    }
    if (!string) continue;
    if (argument > bytes.size() - i) return false;  // cut short: the parser says so
    i += argument;
  }
  return false;
}

}  // namespace

json ParseCbor(std::span<const uint8_t> bytes) {
  DepthCheck check;
  if (HasStringInParts(bytes) ||
      !json::sax_parse(bytes.begin(), bytes.end(), &check, json::input_format_t::cbor)) {
    return json(json::value_t::discarded);
  }
  return json::from_cbor(bytes.begin(), bytes.end(), /*strict=*/true, /*allow_exceptions=*/false);
}

}  // namespace kvla

// SPDX-License-Identifier: Apache-2.0
// Little-endian packing with bounds-checked reading; private to results/.
#ifndef KVLA_RESULTS_TRACE_PACKED_BYTES_H_
#define KVLA_RESULTS_TRACE_PACKED_BYTES_H_

#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <utility>
#include <vector>

namespace kvla {

static_assert(std::endian::native == std::endian::little,
              "blocks are stored as they lie in memory");

class PackedWriter {
 public:
  template <class T>
  void Raw(T value) {
    const size_t at = bytes_.size();
    bytes_.resize(at + sizeof(T));
    std::memcpy(bytes_.data() + at, &value, sizeof(T));
  }
  void Unsigned(uint64_t value) {  // seven bits a byte, low ones first
    for (; value >= 0x80; value >>= 7) bytes_.push_back(static_cast<uint8_t>(value | 0x80));
    bytes_.push_back(static_cast<uint8_t>(value));
  }
  // Small magnitudes are short; wraps, so that any difference of int64 is representable.
  void Signed(uint64_t value) { Unsigned((value << 1) ^ (0 - (value >> 63))); }
  // Stores `value` as its difference from `last`, which becomes `value`.
  void Delta(int64_t value, int64_t* last) {
    Signed(static_cast<uint64_t>(value) - static_cast<uint64_t>(*last));
    *last = value;
  }
  std::vector<uint8_t> Take() { return std::move(bytes_); }

 private:
  std::vector<uint8_t> bytes_;
};

// After a read past the end, ok() is false and every value is 0.
class PackedReader {
 public:
  explicit PackedReader(std::span<const uint8_t> bytes) : bytes_(bytes) {}

  bool ok() const { return ok_; }
  size_t left() const { return bytes_.size(); }

  template <class T>
  T Raw() {
    T value{};
    if (bytes_.size() < sizeof(T)) {
      Fail();
    } else {
      std::memcpy(&value, bytes_.data(), sizeof(T));
      bytes_ = bytes_.subspan(sizeof(T));
    }
    return value;
  }
  uint64_t Unsigned() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const auto byte = Raw<uint8_t>();
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    Fail();
    return 0;
  }
  uint64_t Signed() {
    const uint64_t value = Unsigned();
    return (value >> 1) ^ (0 - (value & 1));
  }
  int64_t Delta(int64_t* last) {
    *last = static_cast<int64_t>(static_cast<uint64_t>(*last) + Signed());
    return *last;
  }
  // A number of things that take `min_bytes` each at least: never more than can follow.
  size_t Count(size_t min_bytes) {
    const uint64_t count = Unsigned();
    if (count > bytes_.size() / min_bytes) {
      Fail();
      return 0;
    }
    return static_cast<size_t>(count);
  }

 private:
  void Fail() {
    ok_ = false;
    bytes_ = {};
  }

  std::span<const uint8_t> bytes_;
  bool ok_ = true;
};

}  // namespace kvla

#endif  // KVLA_RESULTS_TRACE_PACKED_BYTES_H_

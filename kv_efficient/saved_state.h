// SPDX-License-Identifier: Apache-2.0
// Plain values to and from bytes, for saved states. Native byte order: states do not travel between
// machines.
#ifndef KVLA_KV_EFFICIENT_SAVED_STATE_H_
#define KVLA_KV_EFFICIENT_SAVED_STATE_H_

#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>
#include <vector>

namespace kvla {

class ByteWriter {
 public:
  template <class T>
  void Value(const T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    Raw(&value, sizeof(T));
  }
  template <class T>
  void List(const std::vector<T>& list) {
    static_assert(std::is_trivially_copyable_v<T>);
    Value<uint64_t>(list.size());
    Raw(list.data(), list.size() * sizeof(T));
  }
  void Raw(const void* data, size_t size) {
    if (size == 0) return;
    const size_t at = bytes_.size();
    bytes_.resize(at + size);
    std::memcpy(bytes_.data() + at, data, size);
  }
  std::vector<uint8_t> Take() { return std::move(bytes_); }

 private:
  std::vector<uint8_t> bytes_;
};

// Every read says whether there were bytes enough; after a failure all others fail too.
class ByteReader {
 public:
  explicit ByteReader(std::span<const uint8_t> bytes) : bytes_(bytes) {}

  template <class T>
  bool Value(T* value) {
    static_assert(std::is_trivially_copyable_v<T>);
    return Raw(value, sizeof(T));
  }
  template <class T>
  bool List(std::vector<T>* list) {
    uint64_t size = 0;
    if (!Value(&size) || size > bytes_.size() / sizeof(T)) return ok_ = false;
    list->resize(size);
    return Raw(list->data(), size * sizeof(T));
  }
  bool Raw(void* data, size_t size) {
    if (!ok_ || size > bytes_.size()) return ok_ = false;
    if (size > 0) std::memcpy(data, bytes_.data(), size);
    bytes_ = bytes_.subspan(size);
    return true;
  }
  bool ok() const { return ok_; }
  bool done() const { return ok_ && bytes_.empty(); }

 private:
  std::span<const uint8_t> bytes_;
  bool ok_ = true;
};

}  // namespace kvla

#endif  // KVLA_KV_EFFICIENT_SAVED_STATE_H_

// SPDX-License-Identifier: Apache-2.0
// GGUF files for tests, written from the format's description. Includes torch.
#ifndef KVLA_TESTS_TENSORS_SMALL_GGUF_H_
#define KVLA_TESTS_TENSORS_SMALL_GGUF_H_

#include <cstdint>
#include <string>
#include <vector>

#include "tensors/torch.h"

namespace kvla {

class SmallGguf {
 public:
  void Text(const std::string& key, const std::string& value) {
    Key(key, 8);
    Write(&metadata_, value);
  }
  void Number(const std::string& key, uint32_t value) {
    Key(key, 4);
    Raw(&metadata_, value);
  }
  void Real(const std::string& key, float value) {
    Key(key, 6);
    Raw(&metadata_, value);
  }
  void List(const std::string& key, const std::vector<std::string>& items) {
    Key(key, 9);
    Raw(&metadata_, uint32_t{8});
    Raw(&metadata_, uint64_t{items.size()});
    for (const std::string& item : items) Write(&metadata_, item);
  }
  // `sizes`: rows first, as tensors have them.
  void Tensor(const std::string& name, uint32_t type, const std::vector<int64_t>& sizes,
              const std::string& bytes) {
    Write(&entries_, name);
    Raw(&entries_, static_cast<uint32_t>(sizes.size()));
    for (size_t i = sizes.size(); i-- > 0;) Raw(&entries_, static_cast<uint64_t>(sizes[i]));
    Raw(&entries_, type);
    Raw(&entries_, uint64_t{data_.size()});
    data_ += bytes;
    data_.resize((data_.size() + 31) / 32 * 32);
    ++tensors_;
  }
  void F32(const std::string& name, const at::Tensor& tensor) {
    const at::Tensor dense = tensor.contiguous();
    Tensor(name, 0, dense.sizes().vec(),
           {static_cast<const char*>(dense.const_data_ptr()), dense.nbytes()});
  }
  std::string Bytes(uint32_t version = 3) const {
    std::string file = "GGUF";
    Raw(&file, version);
    Raw(&file, tensors_);
    Raw(&file, keys_);
    file += metadata_ + entries_;
    file.resize((file.size() + 31) / 32 * 32);
    return file + data_;
  }

 private:
  template <class T>
  static void Raw(std::string* to, T value) {
    to->append(reinterpret_cast<const char*>(&value), sizeof(value));
  }
  static void Write(std::string* to, const std::string& text) {
    Raw(to, uint64_t{text.size()});
    *to += text;
  }
  void Key(const std::string& key, uint32_t type) {
    Write(&metadata_, key);
    Raw(&metadata_, type);
    ++keys_;
  }

  std::string metadata_, entries_, data_;
  uint64_t tensors_ = 0, keys_ = 0;
};

}  // namespace kvla

#endif  // KVLA_TESTS_TENSORS_SMALL_GGUF_H_

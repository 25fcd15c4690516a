// SPDX-License-Identifier: Apache-2.0
// The layout is that of ggml's docs/gguf.md, the blocks those of its ggml-quants.c.
#include "tensors/gguf.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/files.h"
#include "tensors/gguf_metadata.h"
#include "tensors/safetensors.h"
#include "tensors/torch.h"

namespace kvla {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kMagic = "GGUF";
constexpr uint64_t kAlignment = 32;  // unless general.alignment says otherwise
constexpr int kMaxDims = 4;
constexpr int kMaxDepth = 8;  // of lists in lists
constexpr int64_t kBlock = 32;

// How a type of tensor is held: `size` bytes for `values` values.
struct Held {
  uint32_t id;
  const char* name;
  int64_t values, size;
};
constexpr Held kTypes[] = {
    {0, "F32", 1, 4},
    {1, "F16", 1, 2},
    {2, "Q4_0", kBlock, 2 + kBlock / 2},
    {3, "Q4_1", kBlock, 4 + kBlock / 2},
    {8, "Q8_0", kBlock, 2 + kBlock},
};

class Reader {
 public:
  explicit Reader(std::span<const char> bytes) : bytes_(bytes) {}

  template <class T>
  bool Number(T* value) {
    static_assert(std::is_trivially_copyable_v<T>);
    if (sizeof(T) > left()) return false;
    std::memcpy(value, bytes_.data() + at_, sizeof(T));
    at_ += sizeof(T);
    return true;
  }
  bool Text(std::string* text) {
    uint64_t size = 0;
    if (!Number(&size) || size > left()) return false;
    text->assign(bytes_.data() + at_, size);
    at_ += size;
    return true;
  }
  uint64_t at() const { return at_; }
  uint64_t left() const { return bytes_.size() - at_; }

 private:
  std::span<const char> bytes_;
  uint64_t at_ = 0;
};

template <class T>
bool ReadAs(Reader* in, Json* value) {
  T number{};
  if (!in->Number(&number)) return false;
  *value = number;
  return true;
}

// False: cut short, or of a type that there is not.
bool ReadValue(Reader* in, uint32_t type, int depth, Json* value) {
  switch (type) {
    case 0:
      return ReadAs<uint8_t>(in, value);
    case 1:
      return ReadAs<int8_t>(in, value);
    case 2:
      return ReadAs<uint16_t>(in, value);
    case 3:
      return ReadAs<int16_t>(in, value);
    case 4:
      return ReadAs<uint32_t>(in, value);
    case 5:
      return ReadAs<int32_t>(in, value);
    case 6:
      return ReadAs<float>(in, value);
    case 7: {
      uint8_t flag = 0;
      if (!in->Number(&flag) || flag > 1) return false;
      *value = flag == 1;
      return true;
    }
    case 8: {
      std::string text;
      if (!in->Text(&text)) return false;
      *value = std::move(text);
      return true;
    }
    case 9: {
      uint32_t of = 0;
      uint64_t count = 0;
      if (depth == kMaxDepth || !in->Number(&of) || !in->Number(&count) || count > in->left()) {
        return false;
      }
      *value = Json::array();
      for (uint64_t i = 0; i < count; ++i) {
        Json item;
        if (!ReadValue(in, of, depth + 1, &item)) return false;
        value->push_back(std::move(item));
      }
      return true;
    }
    case 10:
      return ReadAs<uint64_t>(in, value);
    case 11:
      return ReadAs<int64_t>(in, value);
    case 12:
      return ReadAs<double>(in, value);
    default:
      return false;
  }
}

float HalfAt(const char* bytes) {
  uint16_t bits = 0;
  std::memcpy(&bits, bytes, sizeof(bits));
  return c10::detail::fp16_ieee_to_fp32_value(bits);
}

// One block of `held`, or one value, to numbers. Of 4-bit blocks the low halves come first.
void PutBack(const Held& held, const char* from, float* to) {
  const auto* codes = reinterpret_cast<const uint8_t*>(from);
  switch (held.id) {
    case 0:
      std::memcpy(to, from, sizeof(float));
      return;
    case 1:
      *to = HalfAt(from);
      return;
    case 8: {
      const float scale = HalfAt(from);
      for (int i = 0; i < kBlock; ++i) {
        to[i] = scale * static_cast<float>(static_cast<int8_t>(from[2 + i]));
      }
      return;
    }
    default: {
      const bool zero = held.id == 3;  // Q4_1 has a minimum, Q4_0 counts from 8 below
      const float scale = HalfAt(from), least = zero ? HalfAt(from + 2) : -8 * scale;
      const uint8_t* at = codes + (zero ? 4 : 2);
      for (int i = 0; i < kBlock / 2; ++i) {
        to[i] = scale * static_cast<float>(at[i] & 15) + least;
        to[i + kBlock / 2] = scale * static_cast<float>(at[i] >> 4) + least;
      }
    }
  }
}

struct Entry {
  std::string name;
  std::vector<int64_t> shape;  // rows first
  const Held* held = nullptr;
  uint64_t begin = 0, size = 0;
};

Status ReadEntry(Reader* in, uint64_t alignment, Entry* entry) {
  uint32_t dims = 0, type = 0;
  if (!in->Text(&entry->name) || !in->Number(&dims)) {
    return BadInput("its list of tensors is cut short");
  }
  const auto bad = [&](const std::string& what) {
    return BadInput(fmt::format("tensor '{}': {}", entry->name, what));
  };
  if (dims < 1 || dims > kMaxDims) return bad(fmt::format("{} dimensions, not 1 to 4", dims));
  for (uint32_t i = 0; i < dims; ++i) {
    uint64_t size = 0;
    if (!in->Number(&size)) return bad("its entry is cut short");
    if (size > INT64_MAX) return bad("it is too large");
    entry->shape.insert(entry->shape.begin(), static_cast<int64_t>(size));
  }
  if (!in->Number(&type) || !in->Number(&entry->begin)) return bad("its entry is cut short");
  entry->held = std::ranges::find(kTypes, type, &Held::id);
  if (entry->held == std::end(kTypes)) {
    return bad(
        fmt::format("it is of ggml's type {}; F32, F16, Q4_0, Q4_1 and Q8_0 are read", type));
  }
  if (entry->shape.back() % entry->held->values != 0) {
    return bad(fmt::format("rows of {} values are no blocks of {}", entry->shape.back(),
                           entry->held->values));
  }
  if (entry->begin % alignment != 0) return bad("its data are not aligned");
  uint64_t values = 1;
  for (const int64_t n : entry->shape) {
    if (__builtin_mul_overflow(values, static_cast<uint64_t>(n), &values)) {
      return bad("it is too large");
    }
  }
  if (__builtin_mul_overflow(values / entry->held->values, static_cast<uint64_t>(entry->held->size),
                             &entry->size)) {
    return bad("it is too large");
  }
  return {};
}

Status ReadMetadata(Reader* in, uint64_t count, Json* metadata) {
  *metadata = Json::object();
  for (uint64_t i = 0; i < count; ++i) {
    std::string key;
    uint32_t type = 0;
    Json value;
    if (!in->Text(&key) || !in->Number(&type) || !ReadValue(in, type, 0, &value)) {
      return BadInput(
          fmt::format("its metadata are cut short or of an unknown type, after {} of {} keys{}", i,
                      count, key.empty() ? "" : fmt::format(", in '{}'", key)));
    }
    if (!metadata->emplace(std::move(key), std::move(value)).second) {
      return BadInput("a key of its metadata is there twice");
    }
  }
  return {};
}

// Up to its tensors, of which there are so many.
Status ReadHead(Reader* in, Json* metadata, uint64_t* tensors) {
  char magic[4] = {};
  uint32_t version = 0;
  uint64_t keys = 0;
  if (!in->Number(&magic) || std::string_view(magic, 4) != kMagic) {
    return BadInput("not a GGUF file");
  }
  if (!in->Number(&version) || (version != 2 && version != 3)) {
    return BadInput(fmt::format("GGUF of version {}; 2 and 3 are read", version));
  }
  if (!in->Number(tensors) || !in->Number(&keys)) return BadInput("truncated in its header");
  return ReadMetadata(in, keys, metadata);
}

Status Parse(const std::string& bytes, GgufFile* file) {
  Reader in(bytes);
  uint64_t tensors = 0;
  if (Status s = ReadHead(&in, &file->metadata, &tensors); !s.ok()) return s;
  uint64_t alignment = kAlignment;
  if (const auto own = file->metadata.find("general.alignment"); own != file->metadata.end()) {
    if (!own->is_number_unsigned() || own->get<uint64_t>() == 0 || own->get<uint64_t>() % 8 != 0) {
      return BadInput("general.alignment is no multiple of 8");
    }
    alignment = own->get<uint64_t>();
  }
  std::vector<Entry> entries;
  for (uint64_t i = 0; i < tensors; ++i) {
    Entry entry;
    if (Status s = ReadEntry(&in, alignment, &entry); !s.ok()) return s;
    if (!file->types.emplace(entry.name, entry.held->name).second) {
      return BadInput(fmt::format("tensor '{}' is there twice", entry.name));
    }
    entries.push_back(std::move(entry));
  }
  const uint64_t data = (in.at() + alignment - 1) / alignment * alignment;
  for (const Entry& e : entries) {
    if (data > bytes.size() || e.begin > bytes.size() - data ||
        e.size > bytes.size() - data - e.begin) {
      return BadInput(fmt::format("truncated: tensor '{}' ends behind the file", e.name));
    }
  }
  for (const Entry& e : entries) {
    at::Tensor tensor = torch::empty(e.shape, torch::kFloat32);
    const char* from = bytes.data() + data + e.begin;
    float* to = tensor.data_ptr<float>();
    for (int64_t i = 0; i < tensor.numel(); i += e.held->values, from += e.held->size) {
      PutBack(*e.held, from, to + i);
    }
    if (Status s = CheckWeights(e.name, tensor); !s.ok()) return s;
    file->tensors[e.name] = tensor;
  }
  return {};
}

}  // namespace

Result<GgufFile> ReadGguf(const std::filesystem::path& path) {
  const Result<std::string> bytes = ReadFile(path);
  if (!bytes.ok()) return bytes.status();
  GgufFile file;
  try {
    if (Status s = Parse(*bytes, &file); !s.ok()) return s.In(path.string());
  } catch (const c10::Error& e) {
    return BadInput(fmt::format("{}: {}", path.string(), e.what_without_backtrace()));
  }
  return file;
}

Result<Json> ReadGgufMetadata(const std::filesystem::path& path) {
  const Result<MappedFile> file = MapFile(path);
  if (!file.ok()) return file.status();
  Reader in(file->bytes);
  Json metadata;
  uint64_t tensors = 0;
  if (Status s = ReadHead(&in, &metadata, &tensors); !s.ok()) return s.In(path.string());
  return metadata;
}

}  // namespace kvla

// SPDX-License-Identifier: Apache-2.0
#include "tensors/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>
#include <string_view>
#include <vector>

#include "base/files.h"
#include "base/json_text.h"
#include "tensors/torch.h"

namespace kvla {
namespace {

using Json = nlohmann::json;

constexpr uint64_t kMaxHeader = 100'000'000;  // as the reference implementation allows

struct Dtype {
  const char* name;
  at::ScalarType type;
};
constexpr Dtype kDtypes[] = {
    {"F32", at::kFloat}, {"F64", at::kDouble}, {"F16", at::kHalf},  {"BF16", at::kBFloat16},
    {"I64", at::kLong},  {"I32", at::kInt},    {"I16", at::kShort}, {"I8", at::kChar},
    {"U8", at::kByte},   {"BOOL", at::kBool},
};

struct Entry {
  std::string name;
  at::ScalarType type;
  std::vector<int64_t> shape;
  uint64_t begin = 0, end = 0;
};

// A list of non-negative integers.
bool ReadSizes(const Json& node, std::vector<int64_t>* out) {
  if (!node.is_array()) return false;
  for (const Json& item : node) {
    if (!item.is_number_unsigned() || item.get<uint64_t>() > INT64_MAX) return false;
    out->push_back(item.get<int64_t>());
  }
  return true;
}

Status ReadEntry(const std::string& name, const Json& node, Entry* entry) {
  const auto bad = [&](const std::string& what) {
    return BadInput(fmt::format("tensor '{}': {}", name, what));
  };
  if (!node.is_object() || !node.contains("dtype") || !node["dtype"].is_string() ||
      !node.contains("shape") || !node.contains("data_offsets")) {
    return bad("its header entry lacks dtype, shape or data_offsets");
  }
  const auto dtype = std::find_if(std::begin(kDtypes), std::end(kDtypes), [&](const Dtype& d) {
    return node["dtype"].get_ref<const std::string&>() == d.name;
  });
  if (dtype == std::end(kDtypes)) {
    return bad(fmt::format("dtype {} is not supported", node["dtype"].get<std::string>()));
  }
  std::vector<int64_t> offsets;
  if (!ReadSizes(node["shape"], &entry->shape) || !ReadSizes(node["data_offsets"], &offsets) ||
      offsets.size() != 2 || offsets[0] > offsets[1]) {
    return bad("shape and data_offsets must be lists of non-negative integers");
  }
  entry->name = name;
  entry->type = dtype->type;
  entry->begin = offsets[0];
  entry->end = offsets[1];
  uint64_t bytes = c10::elementSize(entry->type);
  for (const int64_t n : entry->shape) {
    if (__builtin_mul_overflow(bytes, static_cast<uint64_t>(n), &bytes)) {
      return bad("it is too large");
    }
  }
  if (bytes != entry->end - entry->begin) {
    return bad(fmt::format("its shape needs {} bytes, its data_offsets span {}", bytes,
                           entry->end - entry->begin));
  }
  return {};
}

// Values at `from`: read there as long as `owner` lives, or copied without one.
at::Tensor TensorAt(const Entry& e, const char* from, const std::shared_ptr<const void>& owner) {
  if (owner != nullptr && e.end > e.begin &&
      reinterpret_cast<uintptr_t>(from) % c10::elementSize(e.type) == 0) {
    return torch::from_blob(
        const_cast<char*>(from), e.shape, [owner](void*) {}, at::TensorOptions(e.type));
  }
  at::Tensor tensor = torch::empty(e.shape, e.type);
  if (e.end > e.begin) std::memcpy(tensor.data_ptr(), from, e.end - e.begin);
  return tensor;
}

Status Parse(std::string_view bytes, const std::shared_ptr<const void>& owner, TensorFile* file) {
  if (bytes.size() < 8) {
    return BadInput(
        fmt::format("truncated: {} bytes, not even the 8 of the header's length", bytes.size()));
  }
  uint64_t header_size = 0;
  std::memcpy(&header_size, bytes.data(), 8);  // little endian, as x86 and Arm are
  if (header_size > kMaxHeader) {
    return BadInput("not a safetensors file: its header would be longer than 100 MB");
  }
  if (header_size > bytes.size() - 8) {
    return BadInput(fmt::format("truncated: the header needs {} bytes, {} follow", header_size,
                                bytes.size() - 8));
  }
  const char* data = bytes.data() + 8 + header_size;
  const uint64_t data_size = bytes.size() - 8 - header_size;
  const Json header = Json::parse(bytes.data() + 8, data, nullptr, /*allow_exceptions=*/false);
  if (!header.is_object()) {
    return BadInput("not a safetensors file: its header is not a JSON object");
  }
  std::vector<Entry> entries;
  for (const auto& [name, node] : header.items()) {
    if (name == "__metadata__") {
      if (node.is_null()) continue;  // as the reference implementation allows
      if (!node.is_object()) return BadInput("__metadata__ is not an object");
      for (const auto& [key, value] : node.items()) {
        if (!value.is_string()) return BadInput(fmt::format("metadata '{}' is not text", key));
        file->metadata[key] = value.get<std::string>();
      }
      continue;
    }
    entries.emplace_back();
    if (Status s = ReadEntry(name, node, &entries.back()); !s.ok()) return s;
    if (entries.back().end > data_size) {
      return BadInput(
          fmt::format("truncated: tensor '{}' ends at byte {} of the data, which has {}", name,
                      entries.back().end, data_size));
    }
  }
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  uint64_t at = 0;
  for (const Entry& e : entries) {
    if (e.begin != at) {
      return BadInput(fmt::format("tensor '{}' overlaps another or leaves a gap", e.name));
    }
    at = e.end;
  }
  if (at != data_size) {
    return BadInput(fmt::format("{} bytes of data belong to no tensor", data_size - at));
  }
  for (const Entry& e : entries) file->tensors[e.name] = TensorAt(e, data + e.begin, owner);
  return {};
}

Result<TensorFile> Parsed(const std::filesystem::path& path, std::string_view bytes,
                          const std::shared_ptr<const void>& owner) {
  TensorFile file;
  try {
    if (Status s = Parse(bytes, owner, &file); !s.ok()) return s.In(path.string());
  } catch (const c10::Error& e) {
    return BadInput(fmt::format("{}: {}", path.string(), e.what_without_backtrace()));
  }
  return file;
}

}  // namespace

Result<TensorFile> ReadSafetensors(const std::filesystem::path& path) {
  const Result<std::string> bytes = ReadFile(path);
  return bytes.ok() ? Parsed(path, *bytes, nullptr) : bytes.status();
}

Result<TensorFile> MapSafetensors(const std::filesystem::path& path) {
  const Result<MappedFile> mapped = MapFile(path);
  return mapped.ok() ? Parsed(path, mapped->bytes, mapped->owner) : mapped.status();
}

Status CheckWeights(const std::string& name, const at::Tensor& tensor) {
  if (!at::isFloatingType(tensor.scalar_type())) {
    const auto dtype = std::ranges::find(kDtypes, tensor.scalar_type(), &Dtype::type);
    return BadInput(fmt::format("tensor '{}' has dtype {}: weights are F16, BF16, F32 or F64", name,
                                dtype == std::end(kDtypes) ? "unknown" : dtype->name));
  }
  // As F32 they are used; an F64 may not fit.
  if (torch::isfinite(tensor.to(at::kFloat)).all().item<bool>()) return {};
  return BadInput(
      fmt::format("tensor '{}' has values that are not finite (NaN or infinite)", name));
}

Result<TensorFile> ReadWeights(const std::filesystem::path& path) {
  Result<TensorFile> file = ReadSafetensors(path);
  if (!file.ok()) return file;
  for (const auto& [name, tensor] : file->tensors) {
    if (Status s = CheckWeights(name, tensor); !s.ok()) return s.In(path.string());
  }
  return file;
}

Status WriteSafetensors(const std::filesystem::path& path, const TensorFile& file) {
  Json header = Json::object();
  if (!file.metadata.empty()) header["__metadata__"] = file.metadata;
  std::string data;
  for (const auto& [name, tensor] : file.tensors) {
    const at::Tensor values = tensor.detach().cpu().contiguous();
    const auto dtype = std::find_if(std::begin(kDtypes), std::end(kDtypes),
                                    [&](const Dtype& d) { return d.type == values.scalar_type(); });
    if (dtype == std::end(kDtypes)) {
      return InternalError(fmt::format("tensor '{}': its type cannot be stored", name));
    }
    const size_t begin = data.size();
    data.append(static_cast<const char*>(values.const_data_ptr()), values.nbytes());
    header[name] = {{"dtype", dtype->name},
                    {"shape", values.sizes().vec()},
                    {"data_offsets", {begin, data.size()}}};
  }
  std::string text = JsonText(header);
  text.resize((text.size() + 7) / 8 * 8, ' ');  // aligns the data
  const uint64_t size = text.size();
  std::string bytes(reinterpret_cast<const char*>(&size), 8);
  return WriteFileAtomic(path, bytes + text + data);
}

}  // namespace kvla

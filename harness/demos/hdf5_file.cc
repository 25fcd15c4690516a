// SPDX-License-Identifier: Apache-2.0
#include "harness/demos/hdf5_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <hdf5.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <numeric>
#include <utility>

namespace kvla {
namespace {

// Closes an HDF5 identifier at the end of a scope.
class Scoped {
 public:
  Scoped(hid_t id, herr_t (*close)(hid_t)) : id_(id), close_(close) {}
  Scoped(const Scoped&) = delete;
  Scoped& operator=(const Scoped&) = delete;
  ~Scoped() {
    if (id_ >= 0) close_(id_);
  }
  bool ok() const { return id_ >= 0; }
  operator hid_t() const { return id_; }  // NOLINT(google-explicit-constructor)

 private:
  hid_t id_;
  herr_t (*close_)(hid_t);
};

template <class T>
hid_t NativeType();
template <>
hid_t NativeType<uint8_t>() {
  return H5T_NATIVE_UINT8;
}
template <>
hid_t NativeType<int32_t>() {
  return H5T_NATIVE_INT32;
}
template <>
hid_t NativeType<float>() {
  return H5T_NATIVE_FLOAT;
}
template <>
hid_t NativeType<double>() {
  return H5T_NATIVE_DOUBLE;
}

// HDF5 prints its error stack by default; here errors are values.
void Quiet() { H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr); }

constexpr hssize_t kMaxAttribute = 1 << 20;  // values, or bytes of a text
constexpr hsize_t kMaxDeflate = 1032;        // bytes that zlib makes of one at most

// Why H5Fopen() failed.
std::string WhyNotOpened(const std::filesystem::path& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return fmt::format("cannot be opened: {}", std::strerror(errno));
  const int locked = flock(fd, LOCK_SH | LOCK_NB) == 0 ? 0 : errno;
  close(fd);
  if (locked == EWOULDBLOCK) return "another program has it open for writing (it is locked)";
  if (locked != 0) {
    return fmt::format(
        "cannot be locked: {}; HDF5_USE_FILE_LOCKING=FALSE in the environment reads without locks",
        std::strerror(locked));
  }
  return "not a complete HDF5 file";
}

// What a stored type is called in messages.
std::string TypeText(hid_t type) {
  const size_t bits = 8 * H5Tget_size(type);
  switch (H5Tget_class(type)) {
    case H5T_INTEGER:
      return fmt::format("{}int{}", H5Tget_sign(type) == H5T_SGN_NONE ? "u" : "", bits);
    case H5T_FLOAT:
      return fmt::format("float{}", bits);
    case H5T_STRING:
      return "text";
    default:
      return "values of another kind";
  }
}

template <class T>
bool IsReadAs(hid_t type) {
  if constexpr (std::is_same_v<T, uint8_t>) {
    return H5Tget_class(type) == H5T_INTEGER && H5Tget_size(type) == 1 &&
           H5Tget_sign(type) == H5T_SGN_NONE;
  }
  return H5Tget_class(type) == (std::is_integral_v<T> ? H5T_INTEGER : H5T_FLOAT);
}

template <class T>
const char* WantedText() {
  if constexpr (std::is_same_v<T, uint8_t>) return "uint8";
  return std::is_integral_v<T> ? "an integer type" : "a real type";
}

// Empty, or the filter that this library cannot undo.
std::string MissingFilter(hid_t set) {
  Scoped creation(H5Dget_create_plist(set), H5Pclose);
  const int count = creation.ok() ? H5Pget_nfilters(creation) : 0;
  for (int i = 0; i < count; ++i) {
    unsigned flags = 0;
    size_t values = 0;
    char name[64] = "";
    const H5Z_filter_t filter = H5Pget_filter2(creation, static_cast<unsigned>(i), &flags, &values,
                                               nullptr, sizeof(name), name, nullptr);
    if (filter < 0 || H5Zfilter_avail(filter) > 0) continue;
    name[sizeof(name) - 1] = '\0';
    return fmt::format("{} ('{}')", filter, name);
  }
  return "";
}

// Bytes of the file that holds `id`.
hsize_t FileBytes(hid_t id) {
  Scoped file(H5Iget_file_id(id), H5Fclose);
  hsize_t bytes = 0;
  if (!file.ok() || H5Fget_filesize(file, &bytes) < 0) return 0;
  return bytes;
}

// The attribute's number of values, 0 for an empty one.
hssize_t Count(hid_t attribute) {
  Scoped space(H5Aget_space(attribute), H5Sclose);
  return space.ok() ? H5Sget_simple_extent_npoints(space) : 0;
}

// Whether it is one value, of this class.
Status CheckOne(hid_t attribute, H5T_class_t wanted, const std::string& where,
                const std::string& name) {
  const char* kind = wanted == H5T_INTEGER ? "an integer" : "a text";
  if (attribute < 0) return BadInput(fmt::format("{}: no attribute '{}'", where, name));
  if (const hssize_t count = Count(attribute); count != 1) {
    return BadInput(fmt::format("{}: attribute '{}' has {} values, one is expected ({})", where,
                                name, count, kind));
  }
  Scoped type(H5Aget_type(attribute), H5Tclose);
  if (type.ok() && H5Tget_class(type) == wanted) return {};
  return BadInput(fmt::format("{}: attribute '{}' is {}, {} is expected", where, name,
                              type.ok() ? TypeText(type) : "of an unknown type", kind));
}

// Whether the file holds every row. By chunks and not by bytes where they may be packed: HDF5 1.10
// takes a packed dataset for one that was written in part.
bool IsWritten(hid_t set, const std::vector<int64_t>& shape) {
  const Scoped creation(H5Dget_create_plist(set), H5Pclose);
  if (!creation.ok()) return false;
  if (H5Pget_layout(creation) != H5D_CHUNKED) {
    H5D_space_status_t status = H5D_SPACE_STATUS_ERROR;
    H5Dget_space_status(set, &status);
    return status == H5D_SPACE_STATUS_ALLOCATED || H5Pget_layout(creation) == H5D_COMPACT;
  }
  std::vector<hsize_t> chunk(shape.size());
  const Scoped space(H5Dget_space(set), H5Sclose);
  hsize_t there = 0;
  if (H5Pget_chunk(creation, static_cast<int>(chunk.size()), chunk.data()) < 0 ||
      H5Dget_num_chunks(set, space, &there) < 0) {
    return false;
  }
  hsize_t all = 1;
  for (size_t i = 0; i < shape.size(); ++i) {
    all *= (static_cast<hsize_t>(shape[i]) + chunk[i] - 1) / chunk[i];
  }
  return there == all;
}

}  // namespace

Result<Hdf5Node> Hdf5Node::CreateFile(const std::filesystem::path& path) {
  Quiet();
  const hid_t id = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  if (id < 0) return IoError(fmt::format("{}: cannot be created as an HDF5 file", path.string()));
  return Hdf5Node(id, Kind::kFile, path.string());
}

Result<Hdf5Node> Hdf5Node::OpenFile(const std::filesystem::path& path) {
  Quiet();
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) {
    return BadInput(fmt::format("{}: no such file", path.string()));
  }
  const hid_t id = H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT);
  if (id < 0) {
    return BadInput(fmt::format("{}: {}", path.string(), WhyNotOpened(path)));
  }
  return Hdf5Node(id, Kind::kFile, path.string());
}

Hdf5Node::Hdf5Node(Hdf5Node&& other) noexcept
    : id_(std::exchange(other.id_, -1)), kind_(other.kind_), where_(std::move(other.where_)) {}

Hdf5Node& Hdf5Node::operator=(Hdf5Node&& other) noexcept {
  if (this != &other) {
    Close();
    id_ = std::exchange(other.id_, -1);
    kind_ = other.kind_;
    where_ = std::move(other.where_);
  }
  return *this;
}

Hdf5Node::~Hdf5Node() { Close(); }

void Hdf5Node::Close() {
  if (id_ < 0) return;
  if (kind_ == Kind::kFile) {
    H5Fclose(id_);
  } else {
    H5Gclose(id_);
  }
  id_ = -1;
}

Result<Hdf5Node> Hdf5Node::CreateGroup(const std::string& name) {
  Scoped links(H5Pcreate(H5P_LINK_CREATE), H5Pclose);
  H5Pset_create_intermediate_group(links, 1);
  const hid_t id = H5Gcreate2(id_, name.c_str(), links, H5P_DEFAULT, H5P_DEFAULT);
  if (id < 0) return IoError(fmt::format("{}: group '{}' cannot be created", where_, name));
  return Hdf5Node(id, Kind::kGroup, where_ + "/" + name);
}

Result<Hdf5Node> Hdf5Node::OpenGroup(const std::string& name) const {
  const hid_t id = H5Gopen2(id_, name.c_str(), H5P_DEFAULT);
  if (id < 0) return BadInput(fmt::format("{}: no group '{}'", where_, name));
  return Hdf5Node(id, Kind::kGroup, where_ + "/" + name);
}

bool Hdf5Node::Has(const std::string& name) const {
  return H5Lexists(id_, name.c_str(), H5P_DEFAULT) > 0;
}

bool Hdf5Node::HasAttribute(const std::string& name) const {
  return H5Aexists(id_, name.c_str()) > 0;
}

template <class T>
Status Hdf5Node::Write(const std::string& name, std::span<const T> values,
                       const std::vector<int64_t>& shape, int gzip_level) {
  std::vector<hsize_t> extent(shape.begin(), shape.end());
  const hsize_t count =
      std::accumulate(extent.begin(), extent.end(), hsize_t{1}, std::multiplies<>());
  if (count != values.size()) {
    return InternalError(fmt::format("{}: dataset '{}' has {} values for a shape of {}", where_,
                                     name, values.size(), count));
  }
  Scoped space(H5Screate_simple(static_cast<int>(extent.size()), extent.data(), nullptr), H5Sclose);
  Scoped links(H5Pcreate(H5P_LINK_CREATE), H5Pclose);
  H5Pset_create_intermediate_group(links, 1);
  Scoped creation(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
  if (gzip_level > 0 && count > 0) {
    std::vector<hsize_t> block = extent;
    block[0] = std::min<hsize_t>(block[0], 16);
    H5Pset_chunk(creation, static_cast<int>(block.size()), block.data());
    H5Pset_shuffle(creation);
    H5Pset_deflate(creation, static_cast<unsigned>(gzip_level));
  }
  Scoped set(H5Dcreate2(id_, name.c_str(), NativeType<T>(), space, links, creation, H5P_DEFAULT),
             H5Dclose);
  if (!set.ok() ||
      H5Dwrite(set, NativeType<T>(), H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) < 0) {
    return IoError(
        fmt::format("{}: dataset '{}' cannot be written; is the disk full?", where_, name));
  }
  return {};
}

template <class T>
Status Hdf5Node::Check(const std::string& name, const std::vector<int64_t>& shape) const {
  const Result<std::vector<int64_t>> found = Shape(name);
  if (!found.ok()) return found.status();
  const auto bad = [&](const std::string& what) {
    return BadInput(fmt::format("{}: dataset '{}' {}", where_, name, what));
  };
  if (*found != shape) {
    return bad(
        fmt::format("is [{}], [{}] is wanted", fmt::join(*found, ", "), fmt::join(shape, ", ")));
  }
  Scoped set(H5Dopen2(id_, name.c_str(), H5P_DEFAULT), H5Dclose);
  Scoped type(set.ok() ? H5Dget_type(set) : -1, H5Tclose);
  if (!type.ok()) return bad("is of an unknown type");
  if (!IsReadAs<T>(type)) {
    return bad(fmt::format("holds {}, {} is wanted", TypeText(type), WantedText<T>()));
  }
  if (const std::string filter = MissingFilter(set); !filter.empty()) {
    return bad(fmt::format(
        "is packed by filter {}, which is not built in here; store it plain or with gzip", filter));
  }
  hsize_t bytes = H5Tget_size(type);
  for (const int64_t n : shape) {
    if (__builtin_mul_overflow(bytes, static_cast<hsize_t>(n), &bytes)) bytes = HSIZE_UNDEF;
  }
  if (bytes > 0 && (!IsWritten(set, shape) || bytes / kMaxDeflate > FileBytes(id_))) {
    return bad("has rows that the file does not hold; it was not written to its end");
  }
  return {};
}

template <class T>
Status Hdf5Node::Read(const std::string& name, const std::vector<int64_t>& shape,
                      std::vector<T>* values) const {
  if (Status status = Check<T>(name, shape); !status.ok()) return status;
  values->resize(std::accumulate(shape.begin(), shape.end(), size_t{1}, std::multiplies<>()));
  Scoped set(H5Dopen2(id_, name.c_str(), H5P_DEFAULT), H5Dclose);
  if (!set.ok() ||
      H5Dread(set, NativeType<T>(), H5S_ALL, H5S_ALL, H5P_DEFAULT, values->data()) < 0) {
    return BadInput(
        fmt::format("{}: dataset '{}' cannot be read; the file is damaged", where_, name));
  }
  return {};
}

template Status Hdf5Node::Write(const std::string&, std::span<const uint8_t>,
                                const std::vector<int64_t>&, int);
template Status Hdf5Node::Write(const std::string&, std::span<const int32_t>,
                                const std::vector<int64_t>&, int);
template Status Hdf5Node::Write(const std::string&, std::span<const float>,
                                const std::vector<int64_t>&, int);
template Status Hdf5Node::Write(const std::string&, std::span<const double>,
                                const std::vector<int64_t>&, int);
template Status Hdf5Node::Check<uint8_t>(const std::string&, const std::vector<int64_t>&) const;
template Status Hdf5Node::Read(const std::string&, const std::vector<int64_t>&,
                               std::vector<uint8_t>*) const;
template Status Hdf5Node::Check<int32_t>(const std::string&, const std::vector<int64_t>&) const;
template Status Hdf5Node::Read(const std::string&, const std::vector<int64_t>&,
                               std::vector<int32_t>*) const;
template Status Hdf5Node::Check<float>(const std::string&, const std::vector<int64_t>&) const;
template Status Hdf5Node::Read(const std::string&, const std::vector<int64_t>&,
                               std::vector<float>*) const;
template Status Hdf5Node::Check<double>(const std::string&, const std::vector<int64_t>&) const;
template Status Hdf5Node::Read(const std::string&, const std::vector<int64_t>&,
                               std::vector<double>*) const;

Result<std::vector<int64_t>> Hdf5Node::Shape(const std::string& name) const {
  Scoped set(H5Dopen2(id_, name.c_str(), H5P_DEFAULT), H5Dclose);
  if (!set.ok()) return BadInput(fmt::format("{}: no dataset '{}'", where_, name));
  Scoped space(H5Dget_space(set), H5Sclose);
  const int rank = H5Sget_simple_extent_ndims(space);
  if (rank < 0) return BadInput(fmt::format("{}: dataset '{}' has no shape", where_, name));
  std::vector<hsize_t> extent(static_cast<size_t>(rank));
  H5Sget_simple_extent_dims(space, extent.data(), nullptr);
  return std::vector<int64_t>(extent.begin(), extent.end());
}

Status Hdf5Node::SetText(const std::string& name, const std::string& text) {
  Scoped type(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_size(type, H5T_VARIABLE);
  H5Tset_cset(type, H5T_CSET_UTF8);
  Scoped space(H5Screate(H5S_SCALAR), H5Sclose);
  Scoped attribute(H5Acreate2(id_, name.c_str(), type, space, H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
  const char* pointer = text.c_str();
  if (!attribute.ok() || H5Awrite(attribute, type, &pointer) < 0) {
    return IoError(fmt::format("{}: attribute '{}' cannot be written", where_, name));
  }
  return {};
}

Status Hdf5Node::SetInteger(const std::string& name, int64_t value) {
  Scoped space(H5Screate(H5S_SCALAR), H5Sclose);
  Scoped attribute(H5Acreate2(id_, name.c_str(), H5T_NATIVE_INT64, space, H5P_DEFAULT, H5P_DEFAULT),
                   H5Aclose);
  if (!attribute.ok() || H5Awrite(attribute, H5T_NATIVE_INT64, &value) < 0) {
    return IoError(fmt::format("{}: attribute '{}' cannot be written", where_, name));
  }
  return {};
}

Status Hdf5Node::SetReals(const std::string& name, std::span<const double> values) {
  const hsize_t count = values.size();
  Scoped space(count > 0 ? H5Screate_simple(1, &count, nullptr) : H5Screate(H5S_NULL), H5Sclose);
  Scoped attribute(
      H5Acreate2(id_, name.c_str(), H5T_NATIVE_DOUBLE, space, H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
  if (!attribute.ok() || (count > 0 && H5Awrite(attribute, H5T_NATIVE_DOUBLE, values.data()) < 0)) {
    return IoError(fmt::format("{}: attribute '{}' cannot be written", where_, name));
  }
  return {};
}

Result<std::string> Hdf5Node::Text(const std::string& name) const {
  Scoped attribute(H5Aopen(id_, name.c_str(), H5P_DEFAULT), H5Aclose);
  if (Status s = CheckOne(attribute, H5T_STRING, where_, name); !s.ok()) return s;
  const Status bad = BadInput(fmt::format("{}: attribute '{}' cannot be read", where_, name));
  Scoped type(H5Aget_type(attribute), H5Tclose);
  if (H5Tis_variable_str(type) > 0) {
    char* pointer = nullptr;
    if (H5Aread(attribute, type, &pointer) < 0 || pointer == nullptr) return bad;
    std::string text = pointer;
    H5free_memory(pointer);
    return text;
  }
  const size_t size = H5Tget_size(type);
  if (size > kMaxAttribute) return bad;
  std::string text(size, '\0');
  if (H5Aread(attribute, type, text.data()) < 0) return bad;
  text.resize(std::min(text.find('\0'), size));
  if (H5Tget_strpad(type) == H5T_STR_SPACEPAD) text.resize(text.find_last_not_of(' ') + 1);
  return text;
}

Result<int64_t> Hdf5Node::Integer(const std::string& name) const {
  Scoped attribute(H5Aopen(id_, name.c_str(), H5P_DEFAULT), H5Aclose);
  if (Status s = CheckOne(attribute, H5T_INTEGER, where_, name); !s.ok()) return s;
  int64_t value = 0;
  if (H5Aread(attribute, H5T_NATIVE_INT64, &value) < 0) {
    return BadInput(fmt::format("{}: attribute '{}' cannot be read", where_, name));
  }
  return value;
}

Result<std::vector<double>> Hdf5Node::Reals(const std::string& name) const {
  Scoped attribute(H5Aopen(id_, name.c_str(), H5P_DEFAULT), H5Aclose);
  if (!attribute.ok()) return BadInput(fmt::format("{}: no attribute '{}'", where_, name));
  Scoped type(H5Aget_type(attribute), H5Tclose);
  const hssize_t count = Count(attribute);
  if (!type.ok() || !IsReadAs<double>(type) || count > kMaxAttribute) {
    return BadInput(fmt::format("{}: attribute '{}' is {} of {}, a list of reals is expected",
                                where_, name, count, type.ok() ? TypeText(type) : "unknown type"));
  }
  std::vector<double> values(static_cast<size_t>(std::max<hssize_t>(count, 0)));
  if (!values.empty() && H5Aread(attribute, H5T_NATIVE_DOUBLE, values.data()) < 0) {
    return BadInput(fmt::format("{}: attribute '{}' cannot be read", where_, name));
  }
  return values;
}

Status Hdf5Node::Flush() {
  if (H5Fflush(id_, H5F_SCOPE_GLOBAL) < 0) {
    return IoError(fmt::format("{}: cannot be flushed; is the disk full?", where_));
  }
  return {};
}

}  // namespace kvla

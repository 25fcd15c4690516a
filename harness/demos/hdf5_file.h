// SPDX-License-Identifier: Apache-2.0
// A thin owner of HDF5 files and groups: typed datasets and attributes, errors as values.
//
// The serial HDF5 library keeps process-wide state: use this from one thread at a time.
#ifndef KVLA_HARNESS_DEMOS_HDF5_FILE_H_
#define KVLA_HARNESS_DEMOS_HDF5_FILE_H_

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"

namespace kvla {

// An open file or group; closes it when destroyed. A file must outlive its groups.
class Hdf5Node {
 public:
  // Creates or truncates `path`.
  static Result<Hdf5Node> CreateFile(const std::filesystem::path& path);
  // Opens for reading. BadInput: it is missing, not to be read, locked by a program that writes it,
  // truncated or not HDF5; which, the message says.
  static Result<Hdf5Node> OpenFile(const std::filesystem::path& path);

  Hdf5Node(Hdf5Node&& other) noexcept;
  Hdf5Node& operator=(Hdf5Node&& other) noexcept;
  Hdf5Node(const Hdf5Node&) = delete;
  Hdf5Node& operator=(const Hdf5Node&) = delete;
  ~Hdf5Node();

  Result<Hdf5Node> CreateGroup(const std::string& name);
  Result<Hdf5Node> OpenGroup(const std::string& name) const;
  bool Has(const std::string& name) const;
  bool HasAttribute(const std::string& name) const;

  // Writes a dataset, row-major. `gzip_level` 0 stores it plain; above, it is chunked along its
  // first dimension. Parent groups in `name` ("obs/ee_pos") are made as needed.
  // REQUIRES: the product of `shape` is values.size(). T: uint8_t, int32_t, float or double.
  template <class T>
  Status Write(const std::string& name, std::span<const T> values,
               const std::vector<int64_t>& shape, int gzip_level = 0);
  // Whether a dataset has this shape and holds numbers that are read as T: unsigned bytes for
  // uint8_t, integers for int32_t, reals for float and double. BadInput names what was found and
  // wanted; also when its filter is not built in, or rows were never written.
  template <class T>
  Status Check(const std::string& name, const std::vector<int64_t>& shape) const;
  // Reads a whole dataset after Check(); nothing is allocated for one that does not pass.
  template <class T>
  Status Read(const std::string& name, const std::vector<int64_t>& shape,
              std::vector<T>* values) const;
  Result<std::vector<int64_t>> Shape(const std::string& name) const;

  Status SetText(const std::string& name, const std::string& text);
  Status SetInteger(const std::string& name, int64_t value);
  Status SetReals(const std::string& name, std::span<const double> values);
  // Attributes; text may be of fixed or variable length. BadInput: there is none, it is of another
  // type, or (but for Reals) not one value.
  Result<std::string> Text(const std::string& name) const;
  Result<int64_t> Integer(const std::string& name) const;
  Result<std::vector<double>> Reals(const std::string& name) const;

  // File and group, for messages.
  const std::string& where() const { return where_; }

  // Puts everything on the disk. Only for files.
  Status Flush();

 private:
  enum class Kind { kFile, kGroup };
  Hdf5Node(int64_t id, Kind kind, std::string where)
      : id_(id), kind_(kind), where_(std::move(where)) {}
  void Close();

  int64_t id_ = -1;
  Kind kind_ = Kind::kGroup;
  std::string where_;
};

}  // namespace kvla

#endif  // KVLA_HARNESS_DEMOS_HDF5_FILE_H_

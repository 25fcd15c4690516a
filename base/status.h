// SPDX-License-Identifier: Apache-2.0
// Errors as values at module borders.
//
// Every message says what was wrong, where, and what would be right. Third-party
// exceptions stop at the border of the module that calls the third party.
#ifndef KVLA_BASE_STATUS_H_
#define KVLA_BASE_STATUS_H_

#include <optional>
#include <string>
#include <utility>

namespace kvla {

enum class StatusCode {
  kOk,
  kBadInput,   // the user's file, flag or value is wrong: exit status 2
  kIo,         // a file or device could not be read or written: exit status 2
  kDiverged,   // the physics left its valid range: ends one episode
  kTimeout,    // a deadline passed
  kCancelled,  // Ctrl-C: exit status 130
  kInternal,   // a bug or a third-party failure
};

class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(StatusCode code, std::string message) : code_(code), message_(std::move(message)) {}

  bool ok() const { return code_ == StatusCode::kOk; }
  StatusCode code() const { return code_; }
  const std::string& message() const { return message_; }

  // Puts `where` in front of the message, so that callers can add context.
  Status In(const std::string& where) const {
    return ok() ? *this : Status(code_, where + ": " + message_);
  }

 private:
  StatusCode code_ = StatusCode::kOk;
  std::string message_;
};

inline Status BadInput(std::string message) { return {StatusCode::kBadInput, std::move(message)}; }
inline Status IoError(std::string message) { return {StatusCode::kIo, std::move(message)}; }
inline Status InternalError(std::string message) {
  return {StatusCode::kInternal, std::move(message)};
}

// A value, or the Status that says why there is none.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}          // NOLINT(google-explicit-constructor)
  Result(Status status) : status_(std::move(status)) {}  // NOLINT(google-explicit-constructor)

  bool ok() const { return value_.has_value(); }
  const Status& status() const { return status_; }

  // REQUIRES: ok().
  T& value() & { return *value_; }
  const T& value() const& { return *value_; }
  T&& value() && { return *std::move(value_); }
  T* operator->() { return &*value_; }
  const T* operator->() const { return &*value_; }
  T& operator*() & { return *value_; }
  const T& operator*() const& { return *value_; }
  T&& operator*() && { return *std::move(value_); }

 private:
  std::optional<T> value_;
  Status status_;
};

}  // namespace kvla

#endif  // KVLA_BASE_STATUS_H_

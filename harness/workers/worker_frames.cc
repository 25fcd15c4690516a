// SPDX-License-Identifier: Apache-2.0
#include "harness/workers/worker_frames.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "results/trace/cbor.h"

namespace kvla {
namespace {

Result<Message> Decode(const uint8_t* bytes, size_t size) {
  Message message = ParseCbor({bytes, size});
  if (message.is_discarded()) return InternalError("a message between processes is not CBOR");
  return message;
}

// False at the end of the stream or on an error.
bool ReadAll(int fd, uint8_t* bytes, size_t size) {
  while (size > 0) {
    const ssize_t n = recv(fd, bytes, size, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes += n;
    size -= static_cast<size_t>(n);
  }
  return true;
}

uint32_t Length(const uint8_t* bytes) {
  uint32_t length = 0;
  std::memcpy(&length, bytes, sizeof(length));
  return length;
}

}  // namespace

Status WriteMessage(int fd, const Message& message) {
  std::vector<uint8_t> bytes(sizeof(uint32_t));
  Message::to_cbor(message, bytes);
  const size_t payload = bytes.size() - sizeof(uint32_t);
  if (payload > MessageBuffer::kMaxBytes) {
    return InternalError(fmt::format("a message of {} bytes is too long", payload));
  }
  const auto length = static_cast<uint32_t>(payload);
  std::memcpy(bytes.data(), &length, sizeof(length));
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t n = send(fd, bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return IoError("the other process closed its end");
    done += static_cast<size_t>(n);
  }
  return {};
}

Result<Message> ReadMessage(int fd) {
  std::array<uint8_t, sizeof(uint32_t)> head{};
  if (!ReadAll(fd, head.data(), head.size())) {
    return Status(StatusCode::kCancelled, "the other process closed its end");
  }
  const uint32_t length = Length(head.data());
  if (length > MessageBuffer::kMaxBytes) return InternalError("a message has a wrong length");
  std::vector<uint8_t> bytes(length);
  if (!ReadAll(fd, bytes.data(), bytes.size())) return IoError("a message was cut short");
  return Decode(bytes.data(), bytes.size());
}

bool MessageBuffer::Fill(int fd) {
  std::array<uint8_t, 65536> block;
  while (true) {
    const ssize_t n = recv(fd, block.data(), block.size(), MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno == EAGAIN || errno == EWOULDBLOCK;
    if (n == 0) return false;
    bytes_.insert(bytes_.end(), block.data(), block.data() + n);
  }
}

Result<std::optional<Message>> MessageBuffer::Take() {
  const size_t available = bytes_.size() - begin_;
  if (available < sizeof(uint32_t)) return std::optional<Message>();
  const uint32_t length = Length(bytes_.data() + begin_);
  if (length > kMaxBytes) return InternalError("a message has a wrong length");
  if (available < sizeof(uint32_t) + length) return std::optional<Message>();
  Result<Message> message = Decode(bytes_.data() + begin_ + sizeof(uint32_t), length);
  begin_ += sizeof(uint32_t) + length;
  if (begin_ == bytes_.size()) {
    bytes_.clear();
    begin_ = 0;
  }
  if (!message.ok()) return message.status();
  return std::optional<Message>(*std::move(message));
}

}  // namespace kvla

// SPDX-License-Identifier: Apache-2.0
// Messages between the parent and its workers: CBOR objects behind a 4-byte length.
#ifndef KVLA_HARNESS_WORKERS_WORKER_FRAMES_H_
#define KVLA_HARNESS_WORKERS_WORKER_FRAMES_H_

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "base/status.h"

namespace kvla {

using Message = nlohmann::json;

// Writes one message, waiting while the socket is full. IoError when the other side is gone.
Status WriteMessage(int fd, const Message& message);

// Waits for one message. kCancelled when the other side closed the socket between messages.
Result<Message> ReadMessage(int fd);

// Collects the bytes of one socket without ever waiting for the rest of a message, so that a
// worker that stops in the middle of one cannot hang the parent.
class MessageBuffer {
 public:
  // Reads what is there. False at the end of the stream or on an error. Uses MSG_DONTWAIT.
  bool Fill(int fd);
  // The next complete message, nullopt while there is none. InternalError for bytes that are not
  // CBOR or a length beyond kMaxBytes.
  Result<std::optional<Message>> Take();

  static constexpr uint32_t kMaxBytes = 1u << 30;

 private:
  std::vector<uint8_t> bytes_;
  size_t begin_ = 0;
};

}  // namespace kvla

#endif  // KVLA_HARNESS_WORKERS_WORKER_FRAMES_H_

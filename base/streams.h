// SPDX-License-Identifier: Apache-2.0
// The program's three standard streams, each of which may be closed, full or hung up.
#ifndef KVLA_BASE_STREAMS_H_
#define KVLA_BASE_STREAMS_H_

#include <fmt/format.h>

#include <string_view>
#include <utility>

namespace kvla {

// Call first in main(). Descriptors 0, 1 and 2 that are closed are taken, so that no file opened
// later gets what is meant for a stream (writing to them fails still); SIGPIPE is ignored.
void ReserveStreams();

// To stderr, at once. What cannot be written is lost: no work depends on it.
void SayText(std::string_view text);

// To stdout. The first text that cannot be written is said on stderr, unless whoever read it left.
void PrintText(std::string_view text);
// Writes out what stdout still holds.
void FlushStdout();
// Whether everything that was printed could be written so far.
bool StdoutIsWhole();

// Thread-safe, and throw nothing but out of memory.
template <class... T>
void Say(fmt::format_string<T...> format, T&&... values) {
  SayText(fmt::format(format, std::forward<T>(values)...));
}
template <class... T>
void Print(fmt::format_string<T...> format, T&&... values) {
  PrintText(fmt::format(format, std::forward<T>(values)...));
}

}  // namespace kvla

#endif  // KVLA_BASE_STREAMS_H_

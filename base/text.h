// SPDX-License-Identifier: Apache-2.0
// Small text helpers for messages.
#ifndef KVLA_BASE_TEXT_H_
#define KVLA_BASE_TEXT_H_

#include <string>
#include <string_view>
#include <vector>

namespace kvla {

// Edits (insert, delete, replace, swap of neighbours) between two names.
int EditDistance(std::string_view a, std::string_view b);

// The candidate with the fewest edits; the first of equals; "" if there are none.
std::string NearestName(std::string_view name, const std::vector<std::string>& candidates);

// "; did you mean 'x'?", or "" if there are no candidates.
std::string DidYouMean(std::string_view name, const std::vector<std::string>& candidates);

// Whether the bytes are well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms).
bool IsUtf8(std::string_view bytes);

// The text as a terminal may show it: control characters, marks that turn the writing direction,
// and bytes that are not UTF-8 become \x1b, \u202e and the like. Line ends stay.
std::string Printable(std::string_view text);
// The same on one line: line ends become \n.
std::string PrintableLine(std::string_view text);

// At most `bytes` of the text from its beginning, and no character in part.
std::string_view CutText(std::string_view text, size_t bytes);

std::string Join(const std::vector<std::string>& parts, std::string_view separator);

// A list "a | b" with `value` in it, once.
std::string WithListed(const std::string& list, const std::string& value);

}  // namespace kvla

#endif  // KVLA_BASE_TEXT_H_

// SPDX-License-Identifier: Apache-2.0
// How much room text takes on a terminal.
#ifndef KVLA_BASE_COLUMNS_H_
#define KVLA_BASE_COLUMNS_H_

#include <string>
#include <string_view>

namespace kvla {

// Columns that UTF-8 text takes: two for wide characters (CJK, emoji), none for marks that combine
// with the character before. Bytes that are no UTF-8 take one each.
int DisplayColumns(std::string_view text);

// The longest beginning of `text` that takes at most `columns`; never ends within a character.
std::string CutToColumns(std::string_view text, int columns);

}  // namespace kvla

#endif  // KVLA_BASE_COLUMNS_H_

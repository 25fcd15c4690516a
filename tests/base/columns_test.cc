// SPDX-License-Identifier: Apache-2.0
#include "base/columns.h"

#include <gtest/gtest.h>

namespace kvla {
namespace {

constexpr char kWide[] = "\xe6\xbc\xa2\xf0\x9f\xa4\x96";  // a CJK character and an emoji
constexpr char kMarked[] = "e\xcc\x81";                   // e and a combining accent

TEST(Columns, AreCountedAsATerminalShowsThem) {
  EXPECT_EQ(DisplayColumns(""), 0);
  EXPECT_EQ(DisplayColumns("abc"), 3);
  EXPECT_EQ(DisplayColumns("\xc3\xa9"), 1);
  EXPECT_EQ(DisplayColumns(kMarked), 1);
  EXPECT_EQ(DisplayColumns(kWide), 4);
  EXPECT_EQ(DisplayColumns("a\xff\xc3"), 3);  // bytes that are no UTF-8
}

TEST(Columns, ACutNeverEndsWithinACharacter) {
  const std::string text = std::string("a") + kWide + kMarked;
  EXPECT_EQ(CutToColumns(text, 1), "a");
  EXPECT_EQ(CutToColumns(text, 2), "a");  // a wide one does not fit by half
  EXPECT_EQ(CutToColumns(text, 3), "a\xe6\xbc\xa2");
  EXPECT_EQ(CutToColumns(text, 6), text);  // a mark stays with its character
  EXPECT_EQ(CutToColumns(text, 100), text);
  EXPECT_EQ(CutToColumns(text, 0), "");
  EXPECT_EQ(CutToColumns(text, -3), "");
}

}  // namespace
}  // namespace kvla

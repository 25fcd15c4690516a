// SPDX-License-Identifier: Apache-2.0
#include "results/trace/cbor.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace kvla {
namespace {

TEST(Cbor, WhatWasWrittenComesBack) {
  const nlohmann::json value = {{"text", std::string(300, 'x')},
                                {"bytes", nlohmann::json::binary({0x7F, 0x5F, 0xFF})},
                                {"numbers", {0, 23, 24, 255, 65536, -1, 1.5, 4294967296}},
                                {"\x7F", nullptr}};
  EXPECT_EQ(ParseCbor(nlohmann::json::to_cbor(value)), value);
}

// The library reads each level by a call of its own.
TEST(Cbor, NestingHasAnEnd) {
  for (const uint8_t level : {0x81, 0x9F, 0xA1, 0xBF, 0x7F, 0x5F, 0xC1}) {
    std::vector<uint8_t> bytes(1 << 20, level);
    EXPECT_TRUE(ParseCbor(bytes).is_discarded()) << int{level};
    // ... where the levels are not next to each other: after an empty part, or as an object's key.
    for (size_t i = 1; i < bytes.size(); i += 2) bytes[i] = level == 0x5F ? 0x40 : 0x60;
    EXPECT_TRUE(ParseCbor(bytes).is_discarded()) << int{level};
  }
}

TEST(Cbor, StringsInPartsAreNotOurs) {
  EXPECT_TRUE(ParseCbor(std::vector<uint8_t>{0x7F, 0x61, 'a', 0xFF}).is_discarded());
  EXPECT_EQ(ParseCbor(std::vector<uint8_t>{0x61, 'a'}), "a");
}

}  // namespace
}  // namespace kvla

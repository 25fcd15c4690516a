# SPDX-License-Identifier: Apache-2.0
# Writes OUTPUT, the definitions of base/version.h, when they differ from what is there.
set(commit "unknown")
find_program(GIT git)
if(GIT)
  execute_process(
    COMMAND "${GIT}" -C "${SOURCE_DIR}" describe --always --abbrev=12 --exclude=*
    OUTPUT_VARIABLE described RESULT_VARIABLE failed ERROR_QUIET OUTPUT_STRIP_TRAILING_WHITESPACE)
  # The ledger grows by every evaluation and is no part of the program.
  execute_process(
    COMMAND "${GIT}" -C "${SOURCE_DIR}" diff --quiet HEAD -- . ":(exclude)results/ledger.jsonl"
    RESULT_VARIABLE changed ERROR_QUIET)
  if(NOT failed AND described)
    set(commit "${described}")
    if(changed)
      string(APPEND commit "-dirty")
    endif()
  endif()
endif()
file(CONFIGURE OUTPUT "${OUTPUT}" @ONLY CONTENT [=[
#include "base/version.h"

namespace kvla {

std::string_view Version() { return "@VERSION@"; }
std::string_view GitCommit() { return "@commit@"; }

}  // namespace kvla
]=])

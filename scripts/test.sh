#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Sets up, builds, and runs every test. The last line is "N passed, N failed", counted in GoogleTest
# cases over all executables; one that crashes or hangs counts as a failure of its own.
#   scripts/test.sh [PRESET] [GTEST FLAGS...]     e.g. scripts/test.sh asan --gtest_filter='Cache*'
set -uo pipefail
cd "$(dirname "$0")/.."
preset=release
if (($#)) && [[ "$1" != -* ]]; then
  preset="$1"
  shift
fi
if ! bash scripts/build.sh "$preset"; then
  echo "the build failed"
  echo "0 passed, 1 failed"
  exit 1
fi

export UBSAN_OPTIONS="print_stacktrace=1:halt_on_error=1${UBSAN_OPTIONS:+:$UBSAN_OPTIONS}"
export TSAN_OPTIONS="suppressions=$PWD/tests/tsan.supp${TSAN_OPTIONS:+:$TSAN_OPTIONS}"
limit=1200 # seconds, for a program
[[ "$preset" == *san ]] && limit=3600
passed=0
failed=0
log="$(mktemp)"
trap 'rm -f "$log"' EXIT
for program in "build/$preset"/tests/kvla_*_test; do
  [[ -x "$program" ]] || continue
  timeout "$limit" "$program" "$@" 2>&1 | tee "$log"
  status="${PIPESTATUS[0]}"
  ok="$(grep -cE '^\[       OK \] .* \([0-9]+ ms\)$' "$log")"
  bad="$(grep -cE '^\[  FAILED  \] .* \([0-9]+ ms\)$' "$log")"
  if ((status != 0)) && { ((bad == 0)) || ((status != 1)); }; then
    echo "$program ended with status $status"
    bad=$((bad + 1))
  fi
  passed=$((passed + ok))
  failed=$((failed + bad))
done
if (($# == 0)); then  # the scripts' own; a filter is for GoogleTest
  for program in tests/scripts/*_test.py; do
    python3 "$program" -v 2>&1 | tee "$log"
    status="${PIPESTATUS[0]}"
    ok="$(grep -cE '\.\.\. ok$' "$log")"
    bad="$(grep -cE '\.\.\. (FAIL|ERROR)$' "$log")"
    ((status == 0 || bad > 0)) || bad=1
    passed=$((passed + ok))
    failed=$((failed + bad))
  done
fi
if ((passed + failed == 0)); then
  echo "no test was run"
  failed=1
fi
echo "$passed passed, $failed failed"
((failed == 0))

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds the fuzz targets (preset fuzz) and runs each on its corpus for so many seconds:
#   scripts/fuzz.sh [SECONDS] [NAME...]     e.g. scripts/fuzz.sh 600 yaml run_store
# What is found lies in build/fuzz/findings, new inputs in build/fuzz/corpus. Exit status 1: a finding.
set -uo pipefail
cd "$(dirname "$0")/.."
seconds="${1:-60}"
(($#)) && shift
names=("$@")
((${#names[@]})) || names=(yaml run_store demos safetensors gguf backbone byte_pair kv_cache analyze)
cmake --preset fuzz >/dev/null || exit 1
targets=()
for name in "${names[@]}"; do targets+=("kvla_${name}_fuzz"); done
cmake --build --preset fuzz --target "${targets[@]}" || exit 1

# LibTorch, HDF5 and SQLite are not instrumented: memory that passes between them and us looks
# unpoisoned or uninitialised to the sanitizer, so containers are not checked across that border.
export ASAN_OPTIONS="detect_container_overflow=0:allocator_may_return_null=1:detect_leaks=1"
export UBSAN_OPTIONS="print_stacktrace=1:halt_on_error=1"
failed=0
for name in "${names[@]}"; do
  mkdir -p "build/fuzz/corpus/$name" "build/fuzz/findings/$name"
  # What earlier runs found, minimised (the target itself with -merge=1).
  [[ -n "$(ls -A "build/fuzz/corpus/$name")" ]] || [[ ! -e "tests/fuzz/corpus/$name.tar.xz" ]] ||
    tar -C build/fuzz/corpus -xJf "tests/fuzz/corpus/$name.tar.xz"
  log="build/fuzz/$name.log"
  "build/fuzz/tests/fuzz/kvla_${name}_fuzz" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=4000 \
    -max_len=65536 -artifact_prefix="build/fuzz/findings/$name/" -print_final_stats=1 \
    "build/fuzz/corpus/$name" "tests/fuzz/corpus/$name" >"$log" 2>&1
  status=$?
  runs="$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")"
  coverage="$(grep -o 'cov: [0-9]*' "$log" | tail -n 1)"
  echo "$name: ${runs:-0} inputs in $seconds s, ${coverage:-no coverage}, $( ((status == 0)) && echo 'no finding' || echo "FINDING, see $log")"
  ((status == 0)) || failed=1
done
exit "$failed"

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Sets up, configures and builds one preset (release unless another is named), or just some targets of it:
#   scripts/build.sh [release|debug|asan|tsan|headless|cuda] [TARGET...]
set -euo pipefail
cd "$(dirname "$0")/.."
preset="${1:-release}"
targets=()
(($# > 1)) && targets=(--target "${@:2}")
if [[ "$preset" == cuda ]]; then
  bash scripts/setup.sh --cuda
else
  bash scripts/setup.sh
fi
# A LibTorch translation unit takes up to 2 GB of memory.
cores="$(nproc)"
by_memory="$(awk '/^MemAvailable/ { print int($2 / 2000000) }' /proc/meminfo)"
jobs=$((by_memory < cores ? by_memory : cores))
configured="$(cmake --preset "$preset" 2>&1)" || { echo "$configured"; exit 1; }
sed -n 's/^-- kvla: //p' <<<"$configured" # what is left out, and why
cmake --build --preset "$preset" --parallel "$((jobs > 0 ? jobs : 1))" "${targets[@]}"

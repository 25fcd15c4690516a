#!/usr/bin/env bash
# Formats every source with clang-format; with --check it changes nothing and fails on a difference.
set -euo pipefail
cd "$(dirname "$0")/.."
mode=(-i)
if [[ "${1:-}" == --check ]]; then
  mode=(--dry-run --Werror)
fi
find apps base harness kv_efficient policy results sim tasks tests viewer \
  \( -name '*.cc' -o -name '*.h' -o -name '*.cu' -o -name '*.cuh' \) -print0 |
  xargs -0 clang-format "${mode[@]}"

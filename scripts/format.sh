#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Formats every source that git tracks with clang-format, of the version that scripts/check.py checks with.
set -euo pipefail
cd "$(dirname "$0")/.."
program="$(python3 -c 'import sys; sys.path.insert(0, "scripts"); from checks.tools import clang_tool
program, why = clang_tool("clang-format")
sys.exit(why) if not program else print(program)')"
git ls-files -z '*.h' '*.cc' '*.cu' '*.cuh' | xargs -0 "$program" -i

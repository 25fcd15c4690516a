#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# All that needs a GPU, with one command: builds the CUDA tests (nvcc 12.8 or newer), runs them, runs them again
# under compute-sanitizer (memcheck, racecheck, synccheck), and measures attention beside a plain copy.
#   scripts/gpu_report.sh
# Exit status: 0 all well, 1 something failed, 2 something is missing (which is said).
set -uo pipefail
cd "$(dirname "$0")/.."
PATH="$PATH:/usr/local/cuda/bin"
missing=()
command -v nvcc >/dev/null || missing+=("nvcc (the CUDA toolkit, 12.8 or newer; looked in PATH and /usr/local/cuda/bin)")
command -v compute-sanitizer >/dev/null || missing+=("compute-sanitizer (a part of the CUDA toolkit)")
if ! command -v nvidia-smi >/dev/null || ! nvidia-smi -L 2>/dev/null | grep -q '^GPU'; then
  missing+=("a GPU with its driver (nvidia-smi -L lists none)")
fi
if ((${#missing[@]})); then
  printf 'gpu_report: missing: %s\n' "${missing[@]}"
  exit 2
fi
nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader
bash scripts/build.sh release kvla_cuda_test kvla_cuda_speed || exit 1
tests=build/release/tests/kvla_cuda_test
failed=()
check() { echo "== $*"; "$@" || failed+=("$*"); }
check "$tests"
if "$tests" --gtest_brief=1 2>&1 | grep -q SKIPPED; then
  failed+=("tests were skipped: see above why")
fi
for tool in memcheck racecheck synccheck; do
  check compute-sanitizer --tool "$tool" --error-exitcode 1 "$tests"
done
check build/release/tests/kvla_cuda_speed
for one in "${failed[@]}"; do echo "FAILED: $one"; done
((${#failed[@]} == 0)) && echo "all well; the aim is 80% of a copy with 1 GB or more"
((${#failed[@]} == 0))

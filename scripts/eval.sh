#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Sets up, builds, and runs the quickstart evaluation, which resumes where it was stopped.
# Arguments are passed on:  scripts/eval.sh --workers 2 --set episodes=50
set -euo pipefail
cd "$(dirname "$0")/.."
bash scripts/build.sh release kvla  # the tests build the rest
exec build/release/kvla eval configs/quickstart.yaml --out runs/quickstart "$@"

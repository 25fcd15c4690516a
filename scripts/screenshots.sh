#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes the pictures of the documentation anew: a small run, then one picture a view of it. Needs no
# display (xvfb-run stands in for one).
#   scripts/screenshots.sh [FOLDER]     default: docs
set -euo pipefail
cd "$(dirname "$0")/.."
docs="${1:-docs}"
kvla=build/release/kvla
work=runs/screenshots
rm -rf "$work"
trap 'rm -rf "$work"' EXIT

"$kvla" eval configs/quickstart.yaml --out "$work/quick" --workers 1 --set episodes=4
shoot() {
  local name="$1"
  shift
  xvfb-run -a -s "-screen 0 1280x720x24" "$kvla" view "$@" --screenshot "$docs/$name.png"
  echo "$docs/$name.png"
}
# Why did it fail? A run opens at the first episode that forgot.
shoot viewer "$work/quick"
# Two settings on one playhead.
shoot viewer_two_arms "$work/quick" --task recall_color --episode 1 --arms window,gated
# Scores and attention by layer, while an episode runs.
shoot viewer_layers configs/quickstart.yaml --task recall_color --arm gated --after 15 --front Layers
shoot viewer_light "$work/quick" --task recall_color --arm gated --episode 0 --after 14 --light

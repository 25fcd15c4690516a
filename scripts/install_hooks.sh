#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes git run scripts/hooks before each commit of this clone: scripts/check.py on what is to be committed, and the
# form of the message. Undo: git config --unset core.hooksPath
set -euo pipefail
cd "$(dirname "$0")/.."
set_already="$(git config --get core.hooksPath || true)"
if [[ -n "$set_already" && "$set_already" != scripts/hooks ]]; then
  echo "install_hooks: core.hooksPath is '$set_already' already: unset it first (git config --unset core.hooksPath)" >&2
  exit 1
fi
git config core.hooksPath scripts/hooks
echo "git now runs scripts/hooks before each commit"

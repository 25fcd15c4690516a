# SPDX-License-Identifier: Apache-2.0
"""Every source is as clang-format writes it."""
import re
import subprocess

from .tools import clang_tool
from .tree import Finding

SAID = re.compile(r"^(.+?):(\d+):\d+: (?:error|warning): code should be clang-formatted")
FORMATTED = (".h", ".cc", ".cu", ".cuh")


def check(tree, only=None):
    program, why = clang_tool("clang-format")
    if not program:
        print(f"check: formatting skipped: {why}")
        return []
    files = sorted(name for name in tree.files if name.endswith(FORMATTED) and (only is None or name in only))
    if not files:
        return []
    done = subprocess.run([program, "--dry-run", *files], cwd=tree.root, capture_output=True, text=True)
    places = {}
    for match in filter(None, map(SAID.match, done.stderr.splitlines())):
        places.setdefault(match[1], int(match[2]))
    return [Finding(file, line, "not as clang-format writes it: run scripts/format.sh")
            for file, line in places.items()]
